// The one table of domain separation: each signature, MAC, derived key and hash of the protocol has a text of its
// own, so that bytes made for one purpose never pass for another.

/** ML-DSA context strings (FIPS 204 section 5.2). */
export const CONTEXTS = {
  hello: "qflare/v1 hs1",
  answer: "qflare/v1 hs2",
  enroll: "qflare/v1 enroll",
  enrolled: "qflare/v1 enrolled",
  update: "qflare/v1 update",
  receipt: "qflare/v1 receipt",
  model: "qflare/v1 model",
  rotation: "qflare/v1 rotation",
  rekeyOld: "qflare/v1 rekey old",
  rekeyNew: "qflare/v1 rekey new",
  rekeyed: "qflare/v1 rekeyed",
} as const;

/** Labels of hashes and derived keys. */
export const LABELS = {
  deviceId: "qflare/v1 device-id",
  tokenSecret: "qflare/v1 token",
  tokenHash: "qflare/v1 token hash",
  logKey: "qflare/v1 log key",
  enrollMac: "qflare/v1 enroll mac",
  hello: "qflare/v1 m1",
  resumeHello: "qflare/v1 resume m1",
  resumeBinderKey: "qflare/v1 resume binder key",
  resumeBinder: "qflare/v1 resume binder",
  derived: "qflare/v1 derived",
  master: "qflare/v1 master",
  clientKey: "qflare/v1 c2s key",
  clientIv: "qflare/v1 c2s iv",
  serverKey: "qflare/v1 s2c key",
  serverIv: "qflare/v1 s2c iv",
  confirmDevice: "qflare/v1 confirm device",
  confirmServer: "qflare/v1 confirm server",
  resumption: "qflare/v1 resumption",
  exporter: "qflare/v1 exporter",
  record: "qflare/v1 record",
  update: "qflare/v1 sealed update",
  model: "qflare/v1 sealed model",
  enclaveKeys: "qflare/v1 enclave keys",
  enclaveProgress: "qflare/v1 enclave progress",
} as const;
