import { type ChildProcess, spawn } from 'node:child_process';
import { searchPath } from '@understudy/platform';

/**
 * For each line of its input, tells every neighbour that an address is here now: a gratuitous ARP reply, or an unsolicited neighbour advertisement that overrides
 * (RFC 4861, 7.2.6). Neither iproute2 nor Node can send a raw packet, and perl-base is part of every Debian and Ubuntu.
 * Arguments: interface, address.
 */
const ANNOUNCE_PERL = String.raw`
use strict;
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 AF_INET6);
use constant { AF_PACKET => 17, ETH_P_ARP => 0x0806, SIOCGIFINDEX => 0x8933, SIOCGIFHWADDR => 0x8927 };
my ($interface, $address) = @ARGV;
socket(my $any, AF_INET, SOCK_DGRAM, 0) or die "socket: $!\n";
sub about { my $request = pack('a16 x24', $interface); ioctl($any, $_[0], $request) or die "$interface: $!\n"; $request }
my $index = unpack('x16 i', about(SIOCGIFINDEX));
my $hardware = unpack('x18 a6', about(SIOCGIFHWADDR));
sub announce_ipv4 {
  my ($ip) = @_;
  socket(my $arp, AF_PACKET, SOCK_DGRAM, unpack('S', pack('n', ETH_P_ARP))) or die "raw socket: $!\n";
  my $everybody = pack('S n i S C C a8', AF_PACKET, ETH_P_ARP, $index, 0, 0, 6, "\xff" x 6);
  for my $operation (1, 2) {
    my $packet = pack('n n C C n', 1, 0x0800, 6, 4, $operation) . $hardware . $ip . "\xff" x 6 . $ip;
    send($arp, $packet, 0, $everybody) or die "send: $!\n";
  }
}
sub announce_ipv6 {
  my ($ip6) = @_;
  socket(my $icmp, AF_INET6, SOCK_RAW, 58) or die "raw socket: $!\n";
  setsockopt($icmp, 41, 18, pack('i', 255)) or die "hop limit: $!\n";
  bind($icmp, pack_sockaddr_in6(0, $ip6)) or die "bind: $!\n";
  my $packet = pack('C C n N', 136, 0, 0, 0x20000000) . $ip6 . pack('C C', 2, 1) . $hardware;
  send($icmp, $packet, 0, pack_sockaddr_in6(0, inet_pton(AF_INET6, 'ff02::1'), $index)) or die "send: $!\n";
}
my ($ipv4, $ipv6) = (inet_pton(AF_INET, $address), inet_pton(AF_INET6, $address));
while (<STDIN>) { defined $ipv4 ? announce_ipv4($ipv4) : announce_ipv6($ipv6) }
`;

/** Announces one address of an interface whenever it is told to: a process that waits, so that nothing has to be started first. */
export class Announcer {
  private child: ChildProcess | null = null;
  private complaint = '';

  constructor(
    private readonly interfaceName: string,
    private readonly address: string,
    /** It cannot announce; the reason. It tries again with the next announcement. */
    private readonly onFailure: (reason: string) => void,
  ) {
    this.begin();
  }

  announce(): void {
    this.begin().stdin?.write('\n');
  }

  /** Ends with this process at the latest: its input ends then. */
  close(): void {
    const { child } = this;
    this.child = null;
    child?.kill('SIGKILL');
  }

  private begin(): ChildProcess {
    if (this.child !== null) return this.child;
    this.complaint = '';
    const child = spawn('perl', ['-e', ANNOUNCE_PERL, this.interfaceName, this.address], {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: { PATH: searchPath(), LC_ALL: 'C' },
    });
    const ended = (reason: string) => {
      if (this.child !== child) return;
      this.child = null;
      this.onFailure(reason);
    };
    child.on('error', (error) => ended(error.message));
    child.on('close', (code) => ended(this.complaint.trim() || `perl ended with code ${code}`));
    child.stdin.on('error', () => undefined);
    child.stderr.on('data', (chunk: Buffer) => {
      this.complaint = (this.complaint + chunk.toString()).slice(-500);
    });
    child.unref();
    this.child = child;
    return child;
  }
}
