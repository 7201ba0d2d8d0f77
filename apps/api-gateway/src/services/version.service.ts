/** Which release this is, and which server. */
export class VersionService {
  constructor(
    readonly version: string,
    readonly serverName: string,
    /** `https://address:port` of this server. */
    readonly ownUrl: string,
  ) {}
}
