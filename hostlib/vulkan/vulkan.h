// SPDX-License-Identifier: Apache-2.0
// vulkan.h: what the files of this folder share. Private to hostlib/vulkan; <vulkan/vulkan.h> is included here only.
//
// One queue and one timeline semaphore per device: every submission signals the next value, so "is it done?" is a
// comparison of integers, for programs, buffers and the staging ring alike.
#pragma once

#include <vulkan/vulkan.h>

#include "hostlib/backend.h"
#include "hostlib/ring.h"
#include "hostlib/vulkan/coop.h"

#define SY_VK_SUBMISSION_DISPATCHES 256u // no more than SY_WAVE_DISPATCHES: a full wave ends with its submission

// ---- instance.c ----------------------------------------------------------------------------------------------------

/// What the validation layer had to say. Its address is handed to the layer: it must not move while the instance lives.
struct sy_vk_validation {
    struct sy_ctx *ctx;
    const char *device_id;
    uint32_t errors;
    char first[1024];
};

struct sy_vk_instance {
    VkInstance handle; ///< VK_NULL_HANDLE: no driver or no loader.
    VkDebugUtilsMessengerEXT messenger;
    PFN_vkCmdInsertDebugUtilsLabelEXT label; ///< NULL without validation.
};

/// No driver is not an error: `out->handle` stays null. With `validation`, the layer is switched on when the
/// environment asks for it (SY_VULKAN_VALIDATION=1, or =sync for synchronisation checks too).
SY_MUST_CHECK enum sy_status sy_vk_instance_create(struct sy_ctx *ctx, struct sy_vk_validation *validation,
                                                   struct sy_vk_instance *out);
void sy_vk_instance_destroy(struct sy_vk_instance *instance);
/// `*out` is malloc'ed; NULL when there are none.
SY_MUST_CHECK enum sy_status sy_vk_physical_devices(struct sy_ctx *ctx, const struct sy_vk_instance *instance,
                                                    VkPhysicalDevice **out, uint32_t *out_count);
const char *sy_vk_result_name(VkResult result);

// ---- survey.c ------------------------------------------------------------------------------------------------------

/// Memory types worth trying, best first.
struct sy_vk_types {
    uint32_t index[VK_MAX_MEMORY_TYPES];
    uint32_t count;
};

/// Everything decided about a physical device before it is opened.
struct sy_vk_survey {
    struct sy_caps caps;
    const char *missing;     ///< The first mandatory thing it lacks, or NULL.
    bool portability_subset; ///< A layered driver: the extension must then be enabled.
    bool subgroup_control;   ///< Kernels may ask for a size of sub-group.
    bool full_subgroups;     ///< They may say that theirs are full, as those with cooperative matrices must.
    bool executable_info;    ///< The driver tells what its compiler made of a kernel; see inspect.c.
    uint32_t vendor_id, device_id;
    uint8_t cache_uuid[VK_UUID_SIZE];
    uint32_t queue_family;
    uint64_t timestamp_mask; ///< 0: no timestamps on this queue.
    double timestamp_ns;
    uint64_t max_uniform_bytes, flush_atom;
    VkPhysicalDeviceMemoryProperties memory;
    struct sy_vk_types buffer_types, staging_types;
    bool mapped; ///< Buffers are host-visible and stay mapped: no staging.
};

void sy_vk_survey(const struct sy_vk_instance *instance, VkPhysicalDevice physical, uint32_t index,
                  struct sy_vk_survey *out);

// ---- coop.c --------------------------------------------------------------------------------------------------------

/// Of a device that has VK_KHR_cooperative_matrix: whether it can be used, and the shapes there are.
void sy_vk_survey_coop(const struct sy_vk_instance *instance, VkPhysicalDevice physical, bool bfloat16_known,
                       struct sy_caps *caps);
/// Errors: INVALID SY_COOP_BLOCK, SY_COOP_ATTENTION or SY_VULKAN_COOP_F16 cannot be read.
SY_MUST_CHECK enum sy_status sy_vk_coop_check(struct sy_ctx *ctx);

// ---- device.c ------------------------------------------------------------------------------------------------------

struct sy_vk_memory {
    VkDeviceMemory handle;
    VkDeviceSize bytes;
    uint8_t *map; ///< NULL when the host cannot see it.
    bool coherent;
};

/// What the ring's memory, if any of it, and a command buffer are used for now.
struct sy_vk_piece {
    VkCommandBuffer commands;
    uint64_t value;       ///< Timeline value of its submission.
    uint8_t *destination; ///< Of a read: the piece is copied there before it is given back. NULL otherwise.
    uint64_t bytes;
};

/// Mapped memory and command buffers for copies and fills, in the order of the queue; see ring.c.
struct sy_vk_ring {
    struct sy_ring places;
    struct sy_vk_piece pieces[SY_RING_PIECES];
    VkCommandPool pool;
    VkBuffer buffer;
    struct sy_vk_memory memory;
};

struct sy_vk_program; // below

struct sy_vk_device {
    struct sy_device base;
    struct sy_vk_validation validation;
    struct sy_vk_instance instance;
    struct sy_vk_survey survey;
    VkDevice handle;
    VkQueue queue;
    VkSemaphore timeline;
    uint64_t submitted; ///< Value the latest submission will signal.
    uint64_t finished;  ///< Latest value known to be reached.
    struct sy_vk_ring ring;
    VkPipelineCache pipeline_cache;
    size_t pipeline_cache_bytes;  ///< As loaded from disk.
    struct sy_vk_program *latest; ///< Latest program submitted, for reports.
};

// ---- queue.c -------------------------------------------------------------------------------------------------------

/// Turns a driver's refusal into a status and a message "vulkan:0: <what>: VK_ERROR_…". Anything but an out-of-memory
/// marks the device as lost.
SY_PRINTF(3, 4)
SY_MUST_CHECK enum sy_status sy_vk_fail(struct sy_vk_device *device, VkResult result, const char *format, ...);
/// Numbers the submissions (filling in the value each one signals), then hands them over in order. `infos[i]` already
/// points to `timelines[i]`, which points to `values[i]`; see sy_vk_submit_prepare().
SY_MUST_CHECK enum sy_status sy_vk_submit(struct sy_vk_device *device, const VkSubmitInfo *infos, uint64_t *values,
                                          uint32_t count);
void sy_vk_submit_prepare(struct sy_vk_device *device, const VkCommandBuffer *commands, VkSubmitInfo *info,
                          VkTimelineSemaphoreSubmitInfo *timeline, uint64_t *value);
/// Blocks until `value` is reached.
SY_MUST_CHECK enum sy_status sy_vk_wait(struct sy_vk_device *device, uint64_t value);
/// Whether `value` is reached, without waiting.
SY_MUST_CHECK enum sy_status sy_vk_reached(struct sy_vk_device *device, uint64_t value, bool *out);
/// DEVICE when the validation layer has found something so far: every call that records, submits or waits asks this, so
/// that what it found fails the work it belongs to.
enum sy_status sy_vk_validated(const struct sy_vk_device *device);
/// Before destroying what the submission of `value` uses: waits for it on a failed device, too.
void sy_vk_drain(struct sy_vk_device *device, uint64_t value);
/// A memory barrier over everything between two sets of stages.
void sy_vk_barrier(VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags wrote, VkPipelineStageFlags to,
                   VkAccessFlags will);
/// First command of every command buffer: sees what earlier submissions wrote, and may overwrite what they read.
void sy_vk_barrier_begin(VkCommandBuffer commands);
/// Last command of whatever the host may read after waiting.
void sy_vk_barrier_end(VkCommandBuffer commands);
/// A pool with `count` command buffers; on failure `*pool` may be left for the caller to destroy.
VkResult sy_vk_commands_create(struct sy_vk_device *device, VkCommandPool *pool, VkCommandBuffer *commands,
                               uint32_t count);

// ---- memory.c ------------------------------------------------------------------------------------------------------

VkResult sy_vk_memory_create(struct sy_vk_device *device, VkDeviceSize bytes, VkBufferUsageFlags usage,
                             const struct sy_vk_types *types, bool map, VkBuffer *buffer, struct sy_vk_memory *memory);
void sy_vk_memory_destroy(struct sy_vk_device *device, VkBuffer *buffer, struct sy_vk_memory *memory);
/// After host writes and before host reads of mapped memory.
SY_MUST_CHECK enum sy_status sy_vk_memory_flush(struct sy_vk_device *device, const struct sy_vk_memory *memory,
                                                uint64_t offset, uint64_t bytes);
SY_MUST_CHECK enum sy_status sy_vk_memory_invalidate(struct sy_vk_device *device, const struct sy_vk_memory *memory,
                                                     uint64_t offset, uint64_t bytes);

// ---- buffer.c ------------------------------------------------------------------------------------------------------

struct sy_vk_buffer {
    struct sy_buffer base;
    VkBuffer handle;
    struct sy_vk_memory memory;
    uint64_t last_use, last_write; ///< Timeline values: host writes wait for the one, host reads for the other.
};

enum sy_status sy_vk_buffer_create(struct sy_device *device, uint64_t bytes, struct sy_buffer **out);
void sy_vk_buffer_destroy(struct sy_buffer *buffer);
enum sy_status sy_vk_buffer_write(struct sy_buffer *buffer, uint64_t offset, const void *source, uint64_t bytes);
enum sy_status sy_vk_buffer_read(struct sy_buffer *buffer, uint64_t offset, void *destination, uint64_t bytes);
enum sy_status sy_vk_buffer_read_start(struct sy_buffer *buffer, uint64_t offset, void *destination, uint64_t bytes,
                                       struct sy_event **out);
enum sy_status sy_vk_buffer_copy(struct sy_buffer *source, uint64_t source_offset, struct sy_buffer *target,
                                 uint64_t target_offset, uint64_t bytes);
enum sy_status sy_vk_buffer_zero(struct sy_buffer *buffer, uint64_t offset, uint64_t bytes);

enum sy_status sy_vk_event_wait(struct sy_event *event);
enum sy_status sy_vk_event_done(struct sy_event *event, bool *out);
void sy_vk_event_destroy(struct sy_event *event);

// ---- ring.c --------------------------------------------------------------------------------------------------------

SY_MUST_CHECK enum sy_status sy_vk_ring_create(struct sy_vk_device *device);
void sy_vk_ring_destroy(struct sy_vk_device *device);
/// Takes a piece of `bytes` (0: a command buffer alone), waiting for the oldest while there is none, and starts
/// recording.
SY_MUST_CHECK enum sy_status sy_vk_ring_begin(struct sy_vk_device *device, uint64_t bytes, uint32_t *out_slot);
SY_MUST_CHECK enum sy_status sy_vk_ring_end(struct sy_vk_device *device, uint32_t slot);
/// Queues a write of a copy of `source`.
SY_MUST_CHECK enum sy_status sy_vk_ring_write(struct sy_vk_buffer *buffer, uint64_t offset, const uint8_t *source,
                                              uint64_t bytes);
/// Queues a read. `destination` has the bytes when sy_vk_ring_wait() has been asked for this or a later submission.
SY_MUST_CHECK enum sy_status sy_vk_ring_read(struct sy_vk_buffer *buffer, uint64_t offset, uint8_t *destination,
                                             uint64_t bytes);
/// Blocks until `value` is reached, hands over what was read until then and gives those pieces back.
SY_MUST_CHECK enum sy_status sy_vk_ring_wait(struct sy_vk_device *device, uint64_t value);

// ---- kernel.c ------------------------------------------------------------------------------------------------------

struct sy_vk_kernel {
    struct sy_kernel base;
    VkDescriptorSetLayout set_layout;
    VkPipelineLayout layout;
    VkPipeline pipeline;
};

SY_MUST_CHECK enum sy_status sy_vk_pipeline_cache_load(struct sy_vk_device *device);
void sy_vk_pipeline_cache_store(struct sy_vk_device *device);
enum sy_status sy_vk_kernel_create(struct sy_device *device, const struct sy_kernel_params *params,
                                   struct sy_kernel **out);
void sy_vk_kernel_destroy(struct sy_kernel *kernel);

// ---- inspect.c -----------------------------------------------------------------------------------------------------

/// Flags a pipeline needs for the two functions below.
VkPipelineCreateFlags sy_vk_inspect_flags(const struct sy_vk_device *device);
enum sy_status sy_vk_kernel_statistics(const struct sy_kernel *kernel, struct sy_kernel_stat **out, size_t *count);
enum sy_status sy_vk_kernel_assembly(const struct sy_kernel *kernel, char **out_text);

// ---- program.c -----------------------------------------------------------------------------------------------------

/// A buffer the program touches, so that host copies know whom to wait for.
struct sy_vk_use {
    struct sy_vk_buffer *buffer;
    bool written;
};

struct sy_vk_program {
    struct sy_program base;
    struct sy_dispatch *dispatches;
    size_t count;
    VkDescriptorPool descriptor_pool;
    VkDescriptorSet *sets;
    struct sy_vk_use *uses;
    size_t use_count;
    VkCommandPool pool;
    // One entry per submission, `made` of them; `infos` points into the other three.
    size_t made;
    VkCommandBuffer *commands;
    VkSubmitInfo *infos;
    VkTimelineSemaphoreSubmitInfo *timelines;
    uint64_t *values;
};

enum sy_status sy_vk_program_create(struct sy_device *device, const struct sy_dispatch *dispatches, size_t count,
                                    struct sy_program **out);
void sy_vk_program_destroy(struct sy_program *program);
enum sy_status sy_vk_program_cut(struct sy_program *program);
enum sy_status sy_vk_program_submit(struct sy_program *program, size_t first, size_t count);
/// Binds and launches dispatch `index` of a submission.
void sy_vk_record_dispatch(const struct sy_vk_program *program, size_t index, const struct sy_submission *submission,
                           VkCommandBuffer commands);
/// Makes what earlier dispatches of a command buffer wrote visible to later ones.
void sy_vk_barrier_between(VkCommandBuffer commands);

// ---- profile.c -----------------------------------------------------------------------------------------------------

enum sy_status sy_vk_program_profile(struct sy_program *program, uint64_t *out_ns);
