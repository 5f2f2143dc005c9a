// Live and unconfirmed sessions, and tickets. Every look-up is by id or by device: nothing here walks over all sessions
// but the sweep, which runs at most every few seconds.

import { toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { LIMITS } from "../core/limits.ts";
import { Session, type Settled, type Ticket, ticketOf } from "./session.ts";

const SWEEP_MS = 5000;

export class SessionTable {
  readonly #sessions = new Map<string, Session>();
  /** Of one device, oldest first; by its id. */
  readonly #sessionsOf = new Map<string, Set<Session>>();
  /** Insertion order is age. */
  readonly #tickets = new Map<string, Ticket>();
  readonly #ticketsOf = new Map<string, Set<string>>();
  #sweptAtMs = 0;

  get count(): number {
    return this.#sessions.size;
  }

  find(id: Uint8Array): Session | undefined {
    return this.#sessions.get(toHex(id));
  }

  /** Unconfirmed: it takes the place of other unconfirmed ones of its device, never of a live one. */
  add(settled: Settled): void {
    this.sweep(settled.openedAtMs);
    const own = [...(this.#sessionsOf.get(toHex(settled.device.id)) ?? [])].filter((session) => !session.isLive);
    for (const oldest of own.slice(0, surplus(own.length + 1))) this.remove(oldest);
    if (this.#sessions.size >= LIMITS.sessionsMax) throw new QflareError("server.unavailable", "too many sessions");
    const session = new Session(settled);
    this.#sessions.set(toHex(session.id), session);
    enter(this.#sessionsOf, toHex(session.device.id), session);
  }

  /** The session lives: older live ones of its device give way, and so does the one that it goes on for. */
  enliven(session: Session): void {
    session.isLive = true;
    if (session.predecessor !== undefined) this.remove(this.find(session.predecessor));
    const live = [...(this.#sessionsOf.get(toHex(session.device.id)) ?? [])].filter((other) => other.isLive);
    for (const oldest of live.slice(0, surplus(live.length))) this.remove(oldest);
    this.#issue(ticketOf(session));
  }

  #issue(ticket: Ticket): void {
    const owner = toHex(ticket.device.id);
    this.#tickets.set(toHex(ticket.id), ticket);
    enter(this.#ticketsOf, owner, toHex(ticket.id));
    const own = [...this.#ticketsOf.get(owner)!];
    for (const id of own.slice(0, surplus(own.length))) this.#drop(id);
    if (this.#tickets.size > LIMITS.ticketsMax) this.#drop(this.#tickets.keys().next().value!);
  }

  ticket(id: Uint8Array): Ticket | undefined {
    return this.#tickets.get(toHex(id));
  }

  /** A ticket is good once. */
  dropTicket(ticket: Ticket): void {
    this.#drop(toHex(ticket.id));
  }

  #drop(id: string): void {
    const ticket = this.#tickets.get(id);
    if (ticket === undefined) return;
    this.#tickets.delete(id);
    leave(this.#ticketsOf, toHex(ticket.device.id), id);
    ticket.resumption.fill(0);
  }

  remove(session: Session | undefined): void {
    if (session === undefined) return;
    this.#sessions.delete(toHex(session.id));
    leave(this.#sessionsOf, toHex(session.device.id), session);
    session.end();
  }

  /** Sessions and tickets of one device. */
  removeDevice(deviceId: Uint8Array): void {
    const owner = toHex(deviceId);
    for (const session of [...(this.#sessionsOf.get(owner) ?? [])]) this.remove(session);
    for (const id of [...(this.#ticketsOf.get(owner) ?? [])]) this.#drop(id);
  }

  clear(): void {
    for (const session of [...this.#sessions.values()]) this.remove(session);
    for (const id of [...this.#tickets.keys()]) this.#drop(id);
  }

  /** Wipes the keys of what has expired. */
  sweep(nowMs: number): void {
    if (Math.abs(nowMs - this.#sweptAtMs) < SWEEP_MS) return;
    this.#sweptAtMs = nowMs;
    for (const session of this.#sessions.values()) if (session.isStale(nowMs)) this.remove(session);
    for (const [id, ticket] of this.#tickets) if (nowMs >= ticket.fullUntilMs) this.#drop(id);
  }
}

function surplus(count: number): number {
  return Math.max(0, count - LIMITS.sessionsPerDeviceMax);
}

function enter<T>(sets: Map<string, Set<T>>, key: string, value: T): void {
  const set = sets.get(key) ?? new Set();
  sets.set(key, set.add(value));
}

function leave<T>(sets: Map<string, Set<T>>, key: string, value: T): void {
  const set = sets.get(key);
  set?.delete(value);
  if (set?.size === 0) sets.delete(key);
}
