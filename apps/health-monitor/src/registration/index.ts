export { AttemptLimiter } from './attempt-limiter.ts';
export { AuthenticationKeyError, AuthenticationKeyStore } from './authentication-key-store.ts';
export { Bearers } from './bearers.ts';
export { HttpsRegistrationTransport } from './https-registration-transport.adapter.ts';
export { weaknessOf } from './key-standard.ts';
export { MeetingClient } from './meeting-client.ts';
export { MeetingResponder } from './meeting-responder.ts';
export { type Recognition, recognitionProofOf } from './recognition-proof.ts';
export {
  type OwnHello,
  type Registered,
  RegistrationClient,
  type RegistrationTarget,
  type RegistrationTransport,
} from './registration-client.ts';
export { equalInConstantTime } from './registration-proof.ts';
export {
  accept,
  orRefusal,
  type Refusable,
  type RegistrationRefusal,
  type RegistrationRefusalCode,
  refuse,
  tooMany,
} from './registration-refusal.ts';
export {
  type AcceptedRegistration,
  type OwnRegistrationFacts,
  RegistrationResponder,
  type RegistrationResponderPort,
} from './registration-responder.ts';
export { isOfferOf, proofOfKey, sealKey, unsealKey } from './sealed-key.ts';
export { KeyCheckBusyError, type StretchedKey, stretchNewKey } from './stretched-key.ts';
