import { Controller, Param } from '@nestjs/common';
import { ConfirmDeletion, FileDifferencesQuery, FilesQuery } from '@understudy/contracts';
import { ROUTES } from '../domain/routes.ts';
import { HealthMonitorService } from '../services/health-monitor.service.ts';
import { Checked } from './input.pipe.ts';
import { Serves } from './served-route.ts';

/** The file sets of this server. */
@Controller()
export class FilesController {
  constructor(private readonly services: HealthMonitorService) {}

  @Serves(ROUTES.files)
  files() {
    return this.services.ask(FilesQuery, {});
  }

  @Serves(ROUTES.fileDifferences)
  fileDifferences(@Param('fileSet') fileSet: string) {
    return this.services.ask(FileDifferencesQuery, { fileSet });
  }

  @Serves(ROUTES.confirmDeletion)
  confirmDeletion(@Param('fileSet') fileSet: string, @Checked(ROUTES.confirmDeletion) _: unknown) {
    return this.services.ask(ConfirmDeletion, { fileSet });
  }
}
