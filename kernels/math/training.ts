// The build for every engine: multiply and add round separately, alike on all machines.
export * from "./_training";
