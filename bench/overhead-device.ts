// A device that trains nothing: the other end of bench/overhead.ts.
//
//   node bench/overhead-device.ts <token> <key file>

import { Device } from "../src/device/device.ts";

const [link, keystore] = process.argv.slice(2);
const device = await Device.enroll({ link: link!, keystore: keystore!, allowSimulatedEnclave: true });
for await (const round of device.rounds()) {
  await round.submit(new Float32Array(round.parameters.length).fill(0.001), 100);
}
await device.close();
