export {
  AUTHENTICATION_KEY_LENGTH_MIN,
  AuthenticationKeyError,
  AuthenticationKeyStore,
} from './authentication-key-store.ts';
export { HttpsRegistrationTransport } from './https-registration-transport.adapter.ts';
export { type OwnHello, type Registered, RegistrationClient, type RegistrationTarget } from './registration-client.ts';
export type { Refusable, RegistrationRefusal, RegistrationRefusalCode } from './registration-refusal.ts';
export {
  type AcceptedRegistration,
  type OwnRegistrationFacts,
  RegistrationResponder,
  type RegistrationResponderPort,
} from './registration-responder.ts';
export { KeyCheckBusyError, type StretchedKey } from './stretched-key.ts';
