# SPDX-License-Identifier: Apache-2.0
# drivers.sh: makes the loaders find GPU drivers that are on this machine but not where a loader looks. To be sourced by a shell.
#
# Containers often have NVIDIA's driver mounted, with no file that tells the OpenCL loader, and a Vulkan manifest in a folder of its
# own. That manifest names the library that needs X11's; the driver's EGL library is another door to the same driver.

# $sysroot is put before every folder (for a test).
library_folders="/usr/local/nvidia/lib64 /usr/local/nvidia/lib /usr/lib/wsl/lib /usr/lib/$(uname -m)-linux-gnu /usr/lib64 /usr/lib
 /opt/amdgpu-pro/lib/$(uname -m)-linux-gnu /opt/amdgpu/lib/$(uname -m)-linux-gnu /opt/rocm/lib /opt/rocm/opencl/lib
 /usr/lib/$(uname -m)-linux-gnu/intel-opencl /usr/local/lib"

# library NAME: prints where it is; nothing where it is not.
library() {
    for folder in $library_folders; do
        if [ -e "${sysroot:-}$folder/$1" ]; then
            echo "${sysroot:-}$folder/$1"
            return
        fi
    done
    [ -n "${sysroot:-}" ] || { ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null | sed -n "s,^[[:space:]]*$1 .* => ,,p" | head -n 1
}

# find_opencl FOLDER: OCL_ICD_VENDORS with the vendors that are known here and the drivers that none of their files names.
find_opencl() {
    [ -z "${OCL_ICD_VENDORS:-}" ] || return 0
    known=${sysroot:-}/etc/OpenCL/vendors
    for name in libnvidia-opencl.so.1 libamdocl64.so libigdrcl.so; do
        path=$(library $name)
        { [ -z "$path" ] || grep -qs "${name%.1}" "$known"/*.icd; } && continue
        mkdir -p "$1/vendors"
        echo "$path" >"$1/vendors/$name.icd"
        echo "OpenCL: no vendor file names $path; one was made"
    done
    [ -d "$1/vendors" ] || return 0
    for file in "$known"/*.icd; do [ ! -e "$file" ] || cp "$file" "$1/vendors/"; done
    export OCL_ICD_VENDORS="$1/vendors"
}

# hardware DEVICES: whether that program (switchyard-devices) finds a Vulkan device that is not software.
hardware() {
    "$1" 2>/dev/null | awk '/^[a-z]+:[0-9]/ { vulkan = /^vulkan:/ } vulkan && /^ +class / && !/in software/ { found = 1 }
        END { exit !found }'
}

# find_vulkan FOLDER DEVICES
find_vulkan() {
    [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}${VK_ADD_DRIVER_FILES:-}" ] || return 0
    hardware "$2" && return 0
    for file in "${sysroot:-}"/usr/local/nvidia/share/vulkan/icd.d/*.json "${sysroot:-}"/usr/share/vulkan/icd.d/nvidia*.json \
        "${sysroot:-}"/etc/vulkan/icd.d/nvidia*.json; do
        [ -e "$file" ] || continue
        export VK_ADD_DRIVER_FILES="$file"
        if hardware "$2"; then
            echo "Vulkan: the driver of $file"
            return 0
        fi
        sed 's/libGLX_nvidia/libEGL_nvidia/' "$file" >"$1/egl.json"
        export VK_ADD_DRIVER_FILES="$1/egl.json"
        if hardware "$2"; then
            echo "Vulkan: the driver of $file, by way of libEGL_nvidia: libGLX_nvidia cannot be loaded"
            return 0
        fi
    done
    unset VK_ADD_DRIVER_FILES
}

# find_drivers FOLDER DEVICES: FOLDER, an empty one, takes the files that are made.
find_drivers() {
    for folder in /usr/local/nvidia/lib64 /usr/local/nvidia/lib /usr/lib/wsl/lib; do
        [ ! -d "$folder" ] || LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
    done
    export LD_LIBRARY_PATH
    find_opencl "$1"
    find_vulkan "$1" "$2"
}
