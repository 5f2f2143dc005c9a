// Stands where TLS and HTTP stand, in tests of both ends of a session without a network.

import type { FastifyReply, FastifyRequest } from "fastify";
import { QflareError } from "../../src/core/error.ts";
import type { HttpAnswer, HttpCall, Transport } from "../../src/device/transport.ts";
import { headerRecord, openProtected, sendProtected } from "../../src/server/protected.ts";
import type { Sessions } from "../../src/server/sessions.ts";
import { SuiteRefused } from "../../src/server/suite-refused.ts";

const ok = (body: Uint8Array, headers: HttpAnswer["headers"] = {}): HttpAnswer => ({
  status: 200,
  headers,
  body: new Uint8Array(body),
});
export const refused = (code: string, rest: object = {}): HttpAnswer => ({
  status: 401,
  headers: {},
  body: new Uint8Array(Buffer.from(JSON.stringify({ error: code, message: code, ...rest }))),
});

/** Hands requests to the sessions, records them, and can change them. */
export class Wire {
  readonly sessions: Sessions;
  readonly calls: HttpCall[] = [];
  /** Runs while a protected request is being served. */
  meanwhile: () => Promise<unknown> = async () => undefined;

  constructor(sessions: Sessions) {
    this.sessions = sessions;
  }

  get transport(): Transport {
    return { call: (call: HttpCall) => this.serve(call) } as unknown as Transport;
  }

  /** Hands on all calls and changes the bodies of the answers. */
  altering(change: (body: Uint8Array) => Uint8Array<ArrayBuffer>): Transport {
    const call = async (request: HttpCall): Promise<HttpAnswer> => {
      const answer = await this.serve(request);
      return { ...answer, body: change(answer.body) };
    };
    return { call } as unknown as Transport;
  }

  async serve(call: HttpCall): Promise<HttpAnswer> {
    this.calls.push(call);
    try {
      if (call.path === "/api/challenge") return ok(await this.sessions.challenge(Buffer.concat(call.body!)));
      if (call.path === "/api/resume") return ok(await this.sessions.resume(Buffer.concat(call.body!)));
      return await this.#protected(call);
    } catch (error) {
      if (error instanceof SuiteRefused) return refused(error.code, { suites: error.suites });
      if (error instanceof QflareError) return refused(error.code);
      throw error;
    }
  }

  async #protected({ method, path, headers }: HttpCall): Promise<HttpAnswer> {
    const request = { method, url: path, headers } as unknown as FastifyRequest;
    const opened = await openProtected(this.sessions, request, headerRecord(request));
    await this.meanwhile();
    const sent: { headers: Record<string, string>; body: Uint8Array } = { headers: {}, body: new Uint8Array(0) };
    const reply = {
      header: (name: string, value: string) => {
        sent.headers[name] = value;
        return reply;
      },
      type: () => reply,
      send: (body: Uint8Array) => {
        sent.body = body;
        return reply;
      },
    };
    sendProtected(reply as unknown as FastifyReply, opened, opened.plaintext);
    return ok(sent.body, sent.headers);
  }
}
