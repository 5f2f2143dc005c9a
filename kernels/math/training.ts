// The build for every engine: multiply and add round separately, alike on all machines.
export { heapBase } from "./_simd";
export * from "./_activation";
export * from "./_convolution";
export * from "./_gemm";
export * from "./_normalisation";
export * from "./_optimizer";
export * from "./_pooling";
