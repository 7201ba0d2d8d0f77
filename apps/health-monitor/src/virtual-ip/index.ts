export { NetworkInterface } from './network-interface.adapter.ts';
export { ReachableApplication } from './reachable-application.ts';
export { canonical, NO_VIRTUAL_ADDRESSES, type VirtualAddresses } from './subnet.ts';
export { VirtualIp, virtualIpLifetimeSeconds } from './virtual-ip.ts';
export { VirtualIpRequirements } from './virtual-ip-requirements.ts';
