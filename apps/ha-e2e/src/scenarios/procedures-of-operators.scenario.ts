import { TELLINGS } from '../procedures/tellings.ts';
import { playOnRealPair } from './play-tellings.ts';

playOnRealPair('procedures of operators', TELLINGS.ofOperators);
