export { NetworkInterface } from './network-interface.adapter.ts';
export { ReachableApplication } from './reachable-application.ts';
export { addressesOf, listOf, NO_VIRTUAL_ADDRESSES, prefixOf, type VirtualAddresses } from './subnet.ts';
export { virtualIpLifetimeSeconds } from './surroundings.ts';
export { VirtualIp } from './virtual-ip.ts';
export { VirtualIpRequirements } from './virtual-ip-requirements.ts';
