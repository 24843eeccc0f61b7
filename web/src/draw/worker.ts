/** The Worker that paints curves. */
export {};
