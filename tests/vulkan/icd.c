/* A Vulkan driver for the tests: software rendering (Mesa's lavapipe) that Dawn accepts.
 *
 * ONNX Runtime's WebGPU provider runs on Dawn. Dawn takes a Vulkan device only if it claims dynamic indexing of arrays of
 * sampled images and of storage images (VkPhysicalDeviceFeatures::shaderSampledImageArrayDynamicIndexing and
 * shaderStorageImageArrayDynamicIndexing). Mesa 22.3, that of Debian 12, does not claim them for lavapipe. The provider's
 * compute shaders read and write buffers and no images, so the two features are never used.
 *
 * This driver passes every call to lavapipe, except three: it adds the two features where features are queried, and takes
 * them out again where a device is created, because lavapipe would refuse them. The environment variable LAVAPIPE names
 * lavapipe's library. With ICD_CLAIM=0 in the environment it denies the two features instead: a driver that Dawn refuses,
 * whatever the version of Mesa. The structures are declared here as far as they are read, so that no Vulkan headers are
 * needed.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Indices into VkPhysicalDeviceFeatures, an array of 55 VkBool32. */
enum { SAMPLED_IMAGE_ARRAY = 34, STORAGE_IMAGE_ARRAY = 36, FEATURE_COUNT = 55 };
/* VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2 */
enum { TYPE_FEATURES_2 = 1000059000 };

typedef uint32_t Bool32;
typedef void *Handle;
typedef void (*Function)(void);
typedef Function (*GetFunction)(Handle instance, const char *name);

/* VkPhysicalDeviceFeatures2; every extension structure begins with the same two fields. */
typedef struct Features2 {
    int32_t type;
    struct Features2 *next;
    Bool32 features[FEATURE_COUNT];
} Features2;

/* VkDeviceCreateInfo */
typedef struct {
    int32_t type;
    Features2 *next;
    uint32_t flags;
    uint32_t queue_count;
    const void *queues;
    uint32_t layer_count;
    const char *const *layers;
    uint32_t extension_count;
    const char *const *extensions;
    const Bool32 *features;
} DeviceInfo;

static void *library;
static Handle instance;

static void *symbol(const char *name) {
    if (!library) {
        const char *path = getenv("LAVAPIPE");
        library = dlopen(path ? path : "libvulkan_lvp.so", RTLD_NOW | RTLD_LOCAL);
        if (!library) {
            fprintf(stderr, "Vulkan driver for tests: %s\n", dlerror());
            exit(1);
        }
    }
    return dlsym(library, name);
}

static Function lavapipe(const char *name) {
    GetFunction get = (GetFunction)symbol("vk_icdGetInstanceProcAddr");
    return get(instance, name);
}

static void set(Bool32 *features, Bool32 value) {
    features[SAMPLED_IMAGE_ARRAY] = value;
    features[STORAGE_IMAGE_ARRAY] = value;
}

static Bool32 claimed(void) {
    const char *claim = getenv("ICD_CLAIM");
    return !claim || strcmp(claim, "0");
}

static void get_features(Handle device, Bool32 *features) {
    typedef void (*Get)(Handle, Bool32 *);
    ((Get)lavapipe("vkGetPhysicalDeviceFeatures"))(device, features);
    set(features, claimed());
}

static void get_features_2(Handle device, Features2 *chain) {
    typedef void (*Get)(Handle, Features2 *);
    ((Get)lavapipe("vkGetPhysicalDeviceFeatures2"))(device, chain);
    set(chain->features, claimed());
}

static int32_t create_device(Handle physical, const DeviceInfo *info, const void *allocator, Handle *device) {
    typedef int32_t (*Create)(Handle, const DeviceInfo *, const void *, Handle *);
    DeviceInfo own = *info;
    Bool32 features[FEATURE_COUNT];
    if (info->features) {
        memcpy(features, info->features, sizeof features);
        set(features, 0);
        own.features = features;
    }
    for (Features2 *next = info->next; next; next = next->next)
        if (next->type == TYPE_FEATURES_2) set(next->features, 0);
    return ((Create)lavapipe("vkCreateDevice"))(physical, &own, allocator, device);
}

static Function own(const char *name) {
    if (!strcmp(name, "vkGetPhysicalDeviceFeatures")) return (Function)get_features;
    if (!strcmp(name, "vkGetPhysicalDeviceFeatures2")) return (Function)get_features_2;
    if (!strcmp(name, "vkGetPhysicalDeviceFeatures2KHR")) return (Function)get_features_2;
    if (!strcmp(name, "vkCreateDevice")) return (Function)create_device;
    return NULL;
}

/* The three entry points that the Vulkan loader looks up. */

Function vk_icdGetInstanceProcAddr(Handle of, const char *name) {
    if (of) instance = of;
    Function found = own(name);
    return found ? found : ((GetFunction)symbol("vk_icdGetInstanceProcAddr"))(of, name);
}

Function vk_icdGetPhysicalDeviceProcAddr(Handle of, const char *name) {
    if (of) instance = of;
    Function found = own(name);
    return found ? found : ((GetFunction)symbol("vk_icdGetPhysicalDeviceProcAddr"))(of, name);
}

int32_t vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version) {
    typedef int32_t (*Negotiate)(uint32_t *);
    return ((Negotiate)symbol("vk_icdNegotiateLoaderICDInterfaceVersion"))(version);
}
