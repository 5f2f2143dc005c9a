// The build with relaxed SIMD: multiply and add are fused where the CPU can, about twice as fast.
export * from "./_training";
