import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { z } from 'zod';

/** What the caller tells the agent. `run`: start the command, told this besides. `stop`: end it in order. */
export const ToAgentSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('run'), environment: z.record(z.string(), z.string()) }),
  z.object({ type: z.literal('stop') }),
]);
export type ToAgent = z.infer<typeof ToAgentSchema>;

/** What the agent tells the caller. `ended`: nothing of the command runs any more; null: it was ended by a signal. */
export const ToCallerSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('started'), pid: z.int() }),
  z.object({ type: z.literal('ended'), code: z.int().nullable(), reason: z.string() }),
]);
export type ToCaller = z.infer<typeof ToCallerSchema>;

/** Sends one message, a line of JSON. Where nobody is there any more it is lost. */
export function send(socket: Socket, message: ToAgent | ToCaller): void {
  if (socket.writable) socket.write(`${JSON.stringify(message)}\n`);
}

/** Calls back for each message in order; what is none of the schema's ends the connection. */
export function follow<Message>(
  socket: Socket,
  schema: z.ZodType<Message>,
  onMessage: (message: Message) => void,
): void {
  socket.on('error', () => undefined);
  const lines = createInterface({ input: socket });
  // it repeats the errors of its input
  lines.on('error', () => undefined);
  lines.on('line', (line) => {
    const parsed = schema.safeParse(asJson(line));
    if (parsed.success) onMessage(parsed.data);
    else socket.destroy();
  });
}

function asJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
