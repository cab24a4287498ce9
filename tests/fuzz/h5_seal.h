/* HDF5 guards its own tables with checksums, so that nearly every change ends at the first of them. A fuzz target that
 * wants to get behind it seals its inputs: every table that begins with a known mark gets the sum that its bytes
 * have. */
#ifndef LOOM_FUZZ_H5_SEAL_H
#define LOOM_FUZZ_H5_SEAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t seal_rot(uint32_t x, int k) { return x << k | x >> (32 - k); }

/* The checksum that the format's description names: lookup3 by Bob Jenkins, public domain, here byte by byte. */
static inline uint32_t seal_sum(const uint8_t *p, size_t len)
{
    uint32_t s[3];
    s[0] = s[1] = s[2] = 0xdeadbeef + (uint32_t)len;
    if (len == 0) return s[2];
    for (;;) {
        size_t n = len < 12 ? len : 12;
        for (size_t i = 0; i < n; i++) s[i / 4] += (uint32_t)p[i] << 8 * (i % 4);
        if (len <= 12) break;
        static const int mix[6] = {4, 6, 8, 16, 19, 4};
        for (int i = 0; i < 6; i++) {
            uint32_t *a = &s[i % 3], *b = &s[(i + 1) % 3], *c = &s[(i + 2) % 3];
            *a -= *c, *a ^= seal_rot(*c, mix[i]), *c += *b;
        }
        p += 12;
        len -= 12;
    }
    static const int last[7] = {14, 11, 25, 16, 4, 14, 24};
    for (int i = 0; i < 7; i++) {
        uint32_t *to = &s[(2 + i) % 3], by = s[(1 + i) % 3];
        *to ^= by, *to -= seal_rot(by, last[i]);
    }
    return s[2];
}

static inline void seal_put(uint8_t *data, size_t size, size_t from, size_t len)
{
    if (from > size || len > size - from || size - from - len < 4) return;
    uint32_t sum = seal_sum(data + from, len);
    for (int i = 0; i < 4; i++) data[from + len + (size_t)i] = (uint8_t)(sum >> 8 * i);
}

/* Bytes of an object header in front of its sum; 0: not one. */
static inline size_t seal_header(const uint8_t *h, size_t left)
{
    if (left < 8 || h[4] != 2) return 0;
    size_t head = 6 + (h[5] & 0x20 ? 16 : 0) + (h[5] & 0x10 ? 4 : 0), width = (size_t)1 << (h[5] & 3), chunk = 0;
    if (left < head + width) return 0;
    for (size_t i = 0; i < width && i < 4; i++) chunk |= (size_t)h[head + i] << 8 * i;
    return head + width + chunk;
}

/* Superblock, object headers, heads of fractal heaps and of B-trees (addresses and sizes of 8 bytes). */
static inline void seal_h5(uint8_t *data, size_t size)
{
    if (size >= 48 && data[8] >= 2) seal_put(data, size, 0, 44);
    for (size_t i = 0; i + 8 <= size; i++) {
        const uint8_t *h = data + i;
        if (memcmp(h, "FRHP", 4) == 0) seal_put(data, size, i, 142);
        if (memcmp(h, "BTHD", 4) == 0) seal_put(data, size, i, 34);
        if (memcmp(h, "OHDR", 4) != 0) continue;
        size_t len = seal_header(h, size - i);
        if (len) seal_put(data, size, i, len);
    }
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

/* One change in eight is left unsealed, as damage comes. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    size = LLVMFuzzerMutate(data, size, max_size);
    if (seed % 8) seal_h5(data, size);
    return size;
}

#endif
