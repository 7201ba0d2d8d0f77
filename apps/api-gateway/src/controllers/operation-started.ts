import type { Response } from 'express';

/** The answer to long work: which operation it is and where its progress is seen. */
export function operationStarted(response: Response, { operationId }: { operationId: string }) {
  const href = `/api/v1/operations/${encodeURIComponent(operationId)}`;
  response.setHeader('location', href);
  return { operationId, href };
}
