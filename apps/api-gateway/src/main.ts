import 'reflect-metadata';
import { runService } from '@understudy/messaging';
import { startApiGateway } from './gateway.ts';

runService('api-gateway', startApiGateway);
