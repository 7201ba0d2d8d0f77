import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson, equalInConstantTime, proofOf, type Transcript } from './registration-proof.ts';

describe('the proof', () => {
  it('does not depend on the order of keys but on every value', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const turned = Object.fromEntries(Object.entries(value).reverse());
        expect(canonicalJson(turned)).toBe(canonicalJson(value));
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('differs by side, key and certificate', () => {
    const transcript = {
      hello: { name: 'alpha' },
      challenge: { name: 'beta' },
      primaryFingerprint: 'aa',
      secondaryFingerprint: 'bb',
    } as unknown as Transcript;
    const key = Buffer.alloc(32, 1);
    const proofs = [
      proofOf('primary', key, transcript),
      proofOf('secondary', key, transcript),
      proofOf('primary', Buffer.alloc(32, 2), transcript),
      proofOf('primary', key, { ...transcript, secondaryFingerprint: 'cc' }),
      proofOf('primary', key, { ...transcript, primaryFingerprint: 'cc' }),
    ];
    expect(new Set(proofs).size).toBe(proofs.length);
    expect(proofOf('primary', key, { ...transcript })).toBe(proofs[0]);
  });

  it('compares texts of any length', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (a, b) => expect(equalInConstantTime(a, b)).toBe(a === b)));
    expect(equalInConstantTime('same', 'same')).toBe(true);
  });
});
