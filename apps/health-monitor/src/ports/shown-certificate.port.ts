/** The certificate (PEM) that whoever answers at a TLS port shows; null when nobody does in time. Never rejects. */
export type ShownCertificate = (target: { address: string; port: number }) => Promise<string | null>;
