// SPDX-License-Identifier: Apache-2.0
// What both kinds of matrix product are told. Rows of a stored matrix are `units` units of 32 elements each, padded with zeros; unit numbers
// count through all rows of all slices, and each stored type finds a unit's bytes by its number (quant/*.glsl).

layout(push_constant) uniform Product {
    Quads weight;
    Quads gated;    // the second matrix of a gated product, of the same shape and type
    Floats src;     // [n_rows, src_stride]
    Floats dst;     // [n_rows, dst_stride]
    Floats bias;    // [n_out]; null: none
    Floats norm;    // [n_in], where the source is normalised on the way in
    Floats experts;  // which slice each batch takes, where that is decided on the device
    Quads tables;    // constant tables that some types index
    uint plane1, plane2, plane3;  // where a matrix's other planes begin, in units of 16 bytes
    uint units;
    uint n_in, n_out, n_rows;
    uint src_stride, dst_stride;
    uint src_batch, dst_batch;  // floats from batch to batch
    uint src_div;               // batches that share a source
    uint slice_rows, first_row; // rows from slice to slice, and where in it the product begins
    uint gated_rows;            // how many rows later the second matrix's row is, if both lie in one weight
    float epsilon;
} pc;
