import { scenariosOnRealPair } from './scenario.ts';

scenariosOnRealPair('the network between the servers', {}, (scenario) => {
  // As the procedure NDA-1, without the loss of the carrier: nothing but the missing answers tells.
  scenario(
    'when frames vanish without a sign and failover is automatic, the secondary takes over, and the primary yields afterwards',
    { failoverType: 'automatic', bothActive: true },
    async ({ pair, primary, secondary }) => {
      primary.host.cutLinkSilently();
      await secondary.reaches('Secondary Active', { withinMs: 25_000 });
      await primary.reaches('Primary Lost Secondary', { withinMs: 10_000 });
      primary.host.healLink();
      await pair.inSyncSwapped({ withinMs: 60_000 });
    },
  );
});
