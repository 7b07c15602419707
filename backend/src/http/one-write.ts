/**
 * Up to this size a head and what follows it go out as one text, in Latin-1, which has each byte as it is: one write of one
 * buffer, where two buffers are a list for the system. Above it the copy costs more.
 */
export const oneWriteBytes = 16 * 1024;
