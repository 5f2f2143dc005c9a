// All that training computes, for both builds.
export { heapBase } from "./_simd";
export * from "./_activation";
export * from "./_convolution";
export * from "./_gemm";
export * from "./_normalisation";
export * from "./_optimizer";
export * from "./_pooling";
