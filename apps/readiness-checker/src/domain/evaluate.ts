import type { ReadinessCheck, ReadinessReport, ReadinessStatus } from '@understudy/contracts';
import type { Check, Requirements, Sides } from './check.ts';
import { DATABASE_CHECKS } from './database-checks.ts';
import { NETWORK_CHECKS } from './network-checks.ts';
import { SYSTEM_CHECKS } from './system-checks.ts';

/** The checklist, in the order in which it is shown. */
export const CHECKLIST: readonly Check[] = [...SYSTEM_CHECKS, ...NETWORK_CHECKS, ...DATABASE_CHECKS];

/** Judges both sides' measurements, line by line, beside the run before. */
export function evaluate(sides: Sides, requirements: Requirements, before: ReadinessReport | null): ReadinessCheck[] {
  return CHECKLIST.map((entry) => {
    const line = entry.judge(sides, requirements);
    const old = before?.checks.find(({ name }) => name === line.name);
    const previous = old ? { status: old.status, primary: old.primary, secondary: old.secondary } : null;
    return { ...line, previous };
  });
}

const BY_WEIGHT: readonly ReadinessStatus[] = ['failed', 'warning', 'passed'];

/** The worst status; lines that were not checked do not count, unless all are. */
export function overallOf(checks: readonly { readonly status: ReadinessStatus }[]): ReadinessStatus {
  return BY_WEIGHT.find((status) => checks.some((line) => line.status === status)) ?? 'not-checked';
}
