// The build with relaxed SIMD: multiply and add are fused where the CPU can, about twice as fast.
export { heapBase } from "./_simd";
export * from "./_activation";
export * from "./_convolution";
export * from "./_gemm";
export * from "./_normalisation";
export * from "./_optimizer";
export * from "./_pooling";
