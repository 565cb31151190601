// SPDX-License-Identifier: Apache-2.0
// Memory as shaders see it: by device address, so that neither the number of buffers nor a buffer's size is limited by descriptors.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require

layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Quads { uvec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Pairs { uvec2 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Vec4s { vec4 v[]; };

// What changes from run to run; see vk_run_data.hpp.
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer RunHeader {
    uvec2 pages;  // address of all sequences' page addresses, one uvec2 each
};
