import { Module } from '@nestjs/common';
import { ReadinessCheckerController } from './controllers/readiness-checker.controller.ts';

/** The readiness-checker service. */
@Module({ controllers: [ReadinessCheckerController] })
export class AppModule {}
