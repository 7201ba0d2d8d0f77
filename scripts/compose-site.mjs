/** One site in containers, as a client sees it: REST over HTTPS with its own certificate, signed in with the authentication key. */
import { request } from 'node:https';
import { setTimeout as delay } from 'node:timers/promises';

const ANSWER_MS = 10_000;
const OPERATION_MS = 120_000;

export class Site {
  #token = null;

  constructor({ name, address, port, key }) {
    Object.assign(this, { name, address, port, key });
  }

  /** The state it is in; null when it does not answer. */
  async state() {
    return (await this.status().catch(() => null))?.state ?? null;
  }

  status() {
    return this.get('/ha/status');
  }

  async get(path) {
    const { status, body } = await this.#ask('GET', path);
    if (status !== 200) throw new Error(`${this.name}: GET ${path}: ${status} ${JSON.stringify(body)}`);
    return body;
  }

  /** Changes something that needs no operation. */
  async change(path, what) {
    const { status, body } = await this.#ask('PATCH', path, what);
    if (status !== 200) throw new Error(`${this.name}: PATCH ${path}: ${status} ${body.detail}`);
  }

  /** Gives an order and waits until its operation has succeeded. Rejects with the reason when it is refused or fails. */
  async perform(method, path, order) {
    const { status, body } = await this.#ask(method, path, order);
    if (status !== 202) throw new Error(`${this.name}: ${method} ${path}: ${status} ${body.detail}`);
    for (const until = Date.now() + OPERATION_MS; Date.now() < until; await delay(300)) {
      const operation = await this.get(`/operations/${body.operationId}`).catch(() => null);
      if (operation?.state === 'succeeded') return;
      if (operation !== null && operation.state !== 'running')
        throw new Error(`${this.name}: ${path}: ${operation.state}: ${JSON.stringify(operation.error)}`);
    }
    throw new Error(`${this.name}: ${path}: not over within ${OPERATION_MS / 1000} s`);
  }

  /** A session may have ended with its gateway: then it signs in once more. */
  async #ask(method, path, body) {
    this.#token ??= await this.#signIn();
    const answer = await this.#send(method, path, body);
    if (answer.status !== 401) return answer;
    this.#token = await this.#signIn();
    return this.#send(method, path, body);
  }

  async #signIn() {
    this.#token = null;
    const { status, body } = await this.#send('POST', '/auth/login', { authenticationKey: this.key });
    if (status !== 200 && status !== 201) throw new Error(`${this.name}: login: ${status} ${body?.detail}`);
    return body.token;
  }

  #send(method, path, body) {
    const { address: host, port } = this;
    const headers = {
      'content-type': 'application/json',
      ...(this.#token === null ? {} : { authorization: `Bearer ${this.#token}` }),
    };
    const options = {
      host,
      port,
      path: `/api/v1${path}`,
      method,
      headers,
      rejectUnauthorized: false,
      agent: false, // a connection that is kept may end with the gateway that is killed
      timeout: ANSWER_MS,
    };
    return new Promise((resolve, reject) => {
      const question = request(options, async (incoming) => {
        try {
          const text = (await incoming.toArray()).join('');
          resolve({ status: incoming.statusCode, body: text === '' ? null : JSON.parse(text) });
        } catch (error) {
          reject(error);
        }
      });
      question.on('timeout', () => question.destroy(new Error(`${host}:${port} has not answered`)));
      question.on('error', reject);
      question.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}
