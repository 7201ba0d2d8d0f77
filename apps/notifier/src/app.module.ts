import { Module } from '@nestjs/common';
import { NotifierController } from './controllers/notifier.controller.ts';

/** The notifier service. */
@Module({ controllers: [NotifierController] })
export class AppModule {}
