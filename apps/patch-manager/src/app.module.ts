import { Module } from '@nestjs/common';
import { PatchManagerController } from './controllers/patch-manager.controller.ts';

/** The patch-manager service. */
@Module({ controllers: [PatchManagerController] })
export class AppModule {}
