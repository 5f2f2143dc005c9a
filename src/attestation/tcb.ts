// How up to date a platform is: Intel's TCB info and enclave identities, matched as "Intel SGX and TDX Provisioning
// Certification Service" API version 4 describes for "Get TCB Info" and "Get QE Identity".

import { toHex } from "../core/bytes.ts";
import { QflareError } from "../core/error.ts";
import { TCB_STATUSES, type TcbStatus } from "./evidence.ts";
import type { JsonView } from "./json-view.ts";
import type { PlatformCertificate } from "./platform-certificate.ts";
import { matchesMasked, type SgxReport } from "./sgx-report.ts";
import type { TdReport } from "./td-report.ts";

export interface TcbLevel {
  readonly status: TcbStatus;
  readonly dateMs: number;
  readonly advisories: readonly string[];
}

function readLevel(level: JsonView): TcbLevel {
  const status = TCB_STATUSES.find((known) => known === level.text("tcbStatus"));
  if (status === undefined) throw new QflareError("evidence.malformed", `TCB status ${level.text("tcbStatus")}`);
  return { status, dateMs: level.time("tcbDate"), advisories: level.texts("advisoryIDs") };
}

function reaches(svns: ArrayLike<number>, level: readonly JsonView[], from: number): boolean {
  return level.every((component, i) => i < from || (svns[i] ?? -1) >= component.number("svn"));
}

/** Levels stand from newest to oldest; the first that the platform reaches in every component is its own. */
export function matchPlatform(
  tcbInfo: JsonView,
  platform: PlatformCertificate,
  td: TdReport | undefined,
): TcbLevel | undefined {
  const found = tcbInfo.objects("tcbLevels").find((level) => {
    const tcb = level.object("tcb");
    const isSgxReached = reaches(platform.componentSvns, tcb.objects("sgxtcbcomponents"), 0);
    if (!isSgxReached || platform.pceSvn < tcb.number("pcesvn")) return false;
    if (td === undefined) return true;
    // From module version 1 on the module's own identity judges the first two.
    return reaches(td.teeTcbSvn, tcb.objects("tdxtcbcomponents"), moduleVersion(td) === 0 ? 0 : 2);
  });
  return found === undefined ? undefined : readLevel(found);
}

function moduleVersion(td: TdReport): number {
  return td.teeTcbSvn[1]!;
}

/** Of an identity's own levels. */
function matchIsvSvn(identity: JsonView, isvSvn: number): TcbLevel | undefined {
  const found = identity.objects("tcbLevels").find((level) => isvSvn >= level.object("tcb").number("isvsvn"));
  return found === undefined ? undefined : readLevel(found);
}

function isModule(identity: JsonView, td: TdReport): boolean {
  const isSigner = toHex(td.mrSignerSeam) === toHex(identity.bytes("mrsigner", 48));
  const mask = identity.bytes("attributesMask", 8);
  return isSigner && matchesMasked(td.seamAttributes, mask, identity.bytes("attributes", 8));
}

/** Level of the TDX module; "none" where version 0 has no levels of its own; undefined where the module is unknown. */
export function matchModule(tcbInfo: JsonView, td: TdReport): TcbLevel | "none" | undefined {
  const version = moduleVersion(td);
  if (version === 0) return isModule(tcbInfo.object("tdxModule"), td) ? "none" : undefined;
  const id = `TDX_${version.toString(16).padStart(2, "0")}`;
  const known = tcbInfo.has("tdxModuleIdentities") ? tcbInfo.objects("tdxModuleIdentities") : [];
  const identity = known.find((entry) => entry.text("id").toLowerCase() === id.toLowerCase());
  if (identity === undefined || !isModule(identity, td)) return undefined;
  return matchIsvSvn(identity, td.teeTcbSvn[0]!);
}

/** Level of the quoting enclave; undefined where it is another enclave. */
export function matchQuotingEnclave(identity: JsonView, report: SgxReport): TcbLevel | undefined {
  const isExpected =
    toHex(report.mrSigner) === toHex(identity.bytes("mrsigner", 32)) &&
    report.isvProductId === identity.number("isvprodid") &&
    // JSON writes this one as a number, most significant byte first; the report is little-endian.
    matchesMasked(
      report.miscSelect.toReversed(),
      identity.bytes("miscselectMask", 4),
      identity.bytes("miscselect", 4),
    ) &&
    matchesMasked(report.attributes, identity.bytes("attributesMask", 16), identity.bytes("attributes", 16));
  return isExpected ? matchIsvSvn(identity, report.isvSvn) : undefined;
}

/** Once part of it is out of date, the whole is. */
const OUT_OF_DATE: Readonly<Record<TcbStatus, TcbStatus>> = {
  UpToDate: "OutOfDate",
  SWHardeningNeeded: "OutOfDate",
  ConfigurationNeeded: "OutOfDateConfigurationNeeded",
  ConfigurationAndSWHardeningNeeded: "OutOfDateConfigurationNeeded",
  OutOfDate: "OutOfDate",
  OutOfDateConfigurationNeeded: "OutOfDateConfigurationNeeded",
  Revoked: "Revoked",
};

function statusWith(status: TcbStatus, part: TcbStatus): TcbStatus {
  if (part === "UpToDate") return status;
  if (part === "OutOfDate") return OUT_OF_DATE[status];
  // Parts are given no other status; one that is, must not make the whole look better.
  return TCB_STATUSES[Math.max(TCB_STATUSES.indexOf(status), TCB_STATUSES.indexOf(part))]!;
}

/** The platform's level with what its module and quoting enclave take away from it. */
export function converge(platform: TcbLevel, ...parts: readonly TcbLevel[]): TcbLevel {
  const all = [platform, ...parts];
  return {
    status: parts.reduce((status, part) => statusWith(status, part.status), platform.status),
    dateMs: Math.min(...all.map((level) => level.dateMs)),
    advisories: [...new Set(all.flatMap((level) => level.advisories))].sort(),
  };
}
