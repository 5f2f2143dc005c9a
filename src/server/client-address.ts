// Whom an address stands for when requests are counted. A site gets a /64 of IPv6 and may call from any of its 2^64
// addresses (RFC 6177), so the prefix counts; IPv4 written as IPv6 counts as the IPv4 address that it is.

import { isIPv6 } from "node:net";

const GROUPS = 8;
const PREFIX_GROUPS = 4; // 64 / 16

/** address: as the socket gives it. Anything that is no IPv6 address comes back as it is. */
export function clientOf(address: string): string {
  const [bare] = address.split("%");
  if (!isIPv6(bare!)) return address;
  const groups = groupsOf(bare!);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped) return [groups[6]! >> 8, groups[6]! & 0xff, groups[7]! >> 8, groups[7]! & 0xff].join(".");
  return `${groups
    .slice(0, PREFIX_GROUPS)
    .map((group) => group.toString(16))
    .join(":")}::/64`;
}

/** The URL parser writes an embedded IPv4 address in hexadecimal and leaves one "::" at most. */
function groupsOf(address: string): number[] {
  const { hostname } = new URL(`http://[${address}]`);
  const [front, back] = hostname
    .slice(1, -1)
    .split("::")
    .map((part) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16))));
  if (back === undefined) return front!;
  return [...front!, ...Array<number>(GROUPS - front!.length - back.length).fill(0), ...back];
}
