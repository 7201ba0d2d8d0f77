export { ApiGatewayModule } from './app.module.ts';
export { startApiGateway } from './gateway.ts';
