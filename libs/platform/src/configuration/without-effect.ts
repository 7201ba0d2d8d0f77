import type { NodeConfiguration } from './configuration.schema.ts';

/**
 * What the configuration asks for and this release does not do yet: one sentence each, empty when everything has its effect. A setting
 * that protects must not look as if it did.
 */
export function settingsWithoutEffect(configuration: NodeConfiguration): string[] {
  const { mail } = configuration;
  const sentences = {
    'mail is not yet available: nobody is notified': mail,
  };
  return said(sentences);
}

function said(sentences: Record<string, unknown>): string[] {
  return Object.entries(sentences).flatMap(([sentence, applies]) => (applies ? [sentence] : []));
}
