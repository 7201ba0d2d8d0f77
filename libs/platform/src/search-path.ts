/** Where programs are looked for: Debian keeps `ip` and `ss` where an ordinary user's PATH does not look. */
export function searchPath(): string {
  return `${process.env.PATH ?? ''}:/usr/sbin:/sbin:/usr/bin:/bin`;
}
