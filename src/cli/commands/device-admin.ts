// qflare device list and revoke: the operator's view of devices, through the running server's administration socket.

import type { Command } from "commander";
import type { AdminClient } from "../admin-client.ts";
import type { Output } from "../output.ts";
import { type AdminFlags, addAdminCommand, withAdmin } from "../with-admin.ts";

interface DeviceLine {
  readonly device_id: string;
  readonly name: string;
  readonly state: string;
  readonly enrolled_at: string;
}

export function addDeviceAdminCommands(device: Command): void {
  addAdminCommand(device, "list", "on the server: all devices that count", "qflare device list").action(
    async (flags: AdminFlags) => await withAdmin(flags, list),
  );
  const revoking = "on the server: end a device's sessions and keys; its name becomes free";
  addAdminCommand(device, "revoke", revoking, "qflare device revoke ward-3")
    .argument("<name>", "as shown by list")
    .action(async (name: string, flags: AdminFlags) => {
      await withAdmin(flags, async (admin, output) => {
        const revoked = await admin.call<{ device_id: string }>("device.revoke", { name });
        output.emit(revoked, `device ${name} (${revoked.device_id}) is revoked`);
      });
    });
}

async function list(admin: AdminClient, output: Output): Promise<void> {
  const devices = await admin.call<DeviceLine[]>("device.list");
  for (const device of devices) {
    output.emit(device, `${device.device_id}  ${device.state.padEnd(8)} ${device.enrolled_at}  ${device.name}`);
  }
  if (devices.length === 0 && !output.isJson) process.stdout.write("no devices\n");
}
