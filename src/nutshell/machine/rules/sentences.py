"""What the doctor says: key -> (what is wrong, what to do). Templates: a finding puts its values in."""

from __future__ import annotations

from collections.abc import Mapping

from nutshell.language import Text, tr

SENTENCES: Mapping[str, tuple[Text, Text]] = {
    # memory
    "memory-too-little": (
        tr("Only {usable} of memory can be used, and the smallest model needs about {least}."),
        tr("Close other programs, above all the browser, or restart the machine."),
    ),
    "memory-little": (
        tr("Only {usable} of memory can be used: the built-in model runs, larger ones will not fit."),
        tr("Close other programs, above all the browser; more swap helps a little, and slowly."),
    ),
    "memory-unknown": (
        tr("How much memory is free could not be read; {usable} are assumed."),
        tr("Nothing, if it works. Otherwise mount /proc."),
    ),
    "memory-limit": (
        tr("This container or session may use {limit} of the machine's {total} of memory."),
        tr("Start it with a higher limit (docker run --memory=4g) if models do not fit."),
    ),
    "swap-full": (
        tr("The swap is nearly full ({free} of {total} left): when memory runs out, programs will be stopped."),
        tr("Close other programs or restart the machine; a larger swap file is safer."),
    ),
    "root-in-ram": (
        tr("The system runs from memory: whatever is stored takes memory ({held} so far) and is lost at shut-down."),
        tr("Keep models on a stick or disk, in a folder nutshell-models/ at its root or named by NUTSHELL_STORE."),
    ),
    "live": (
        tr("The system was started from a live medium: what is stored in it may be lost at shut-down."),
        tr("Keep models on a stick or disk, in a folder nutshell-models/ at its root or named by NUTSHELL_STORE."),
    ),
    # disks
    "models-disk-full": (
        tr("The disk for models is full: {free} left ({path})."),
        tr("Delete what is not needed, or name a folder on another disk with NUTSHELL_STORE."),
    ),
    "models-disk-almost-full": (
        tr("The disk for models is almost full: {free} left ({path}); a larger model takes 1 to 4 GB."),
        tr("Delete what is not needed, or name a folder on another disk with NUTSHELL_STORE."),
    ),
    "models-read-only": (
        tr("Nothing can be stored in the folder for models ({path})."),
        tr("Name a folder of your own with NUTSHELL_STORE; models that are here already run all the same."),
    ),
    "models-slow": (
        tr("The disk with the models reads only {speed} a second: loading a model of 2 GB takes {seconds} s."),
        tr("Keep models on a faster disk; the built-in model is small and does not mind."),
    ),
    "models-fat": (
        tr("The disk for models is formatted as {filesystem}, which holds no file of 4 GB or more."),
        tr("Larger models need a disk formatted as exFAT, NTFS or ext4."),
    ),
    "temporary-full": (
        tr("The folder for temporary files is almost full: {free} left ({path})."),
        tr("Delete what is in it, or name another one with TMPDIR."),
    ),
    "temporary-read-only": (
        tr("Temporary files cannot be written ({path})."),
        tr("Name a folder of your own with TMPDIR."),
    ),
    "temporary-noexec": (
        tr("Programs may not be run from the folder for temporary files ({path} is mounted noexec)."),
        tr("If an installation fails, repeat it with TMPDIR set to a folder in your home."),
    ),
    # processor
    "no-sse42": (
        tr("The processor ({model}) lacks SSE4.2, which NumPy needs from 2.4 on, and every release of OpenVINO."),
        tr(
            "Older NumPy and ONNX Runtime may still run on it, slowly: pip install 'numpy<2.4'. Else only another "
            "machine helps: any made after about 2011 will do."
        ),
    ),
    "no-avx2": (
        tr("The processor ({model}) lacks AVX2: OpenVINO is no longer made for it, from 2026.0 on, and all is slow."),
        tr("ONNX Runtime is used instead (--engine onnx); stay with the built-in model and small sizes."),
    ),
    "python-32-bit": (
        tr("This is a 32-bit Python, and the engines are made for 64 bits only."),
        tr("Install a 64-bit Python; a 32-bit system must be replaced by a 64-bit one first."),
    ),
    "rosetta": (
        tr("Python runs translated (Rosetta): slowly, and without the graphics of this Mac."),
        tr("Install Python for Apple silicon (arm64) and start again from a new folder."),
    ),
    "powersave": (
        tr("The processor is held at its lowest clock (governor powersave of {driver})."),
        tr(
            "Plug the machine in, or: echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        ),
    ),
    # cards
    "nvidia-nouveau": (
        tr("{name}: only the free driver (nouveau) is loaded, which cannot compute for us."),
        tr(
            "Install NVIDIA's own driver with the system's driver tool, then restart. Until then the processor is used."
        ),
    ),
    "nvidia-no-driver": (
        tr("{name}: no driver is loaded for it."),
        tr("Install NVIDIA's driver with the system's driver tool, then restart. Until then the processor is used."),
    ),
    "nvidia-driver-fails": (
        tr("{name}: its driver does not answer ({reason})."),
        tr("Restart the machine; if that does not help, install the driver anew. Until then the processor is used."),
    ),
    "nvidia-old": (
        tr(
            "{name} (compute capability {capability}): today's PyTorch (CUDA 12.8 on) and ONNX Runtime (CUDA 13) left "
            "cards below 7.5 out."
        ),
        tr("The processor is used. For the card: PyTorch built for CUDA 12.6, the last that has it."),
    ),
    "nvidia-old-driver": (
        tr("{name}: its driver ({driver}) offers {runtime}, and today's engines need CUDA 12 or later."),
        tr("Install a newer driver, if NVIDIA still makes one for this card. Until then the processor is used."),
    ),
    "nvidia-not-in-torch": (
        tr("{name} (compute capability {capability}): the PyTorch installed here was built without it."),
        tr("Install PyTorch built for {wanted}. Until then the processor is used."),
    ),
    "gtx-16": (
        tr("{name}: half precision (f16) draws black pictures on cards of the GTX 16 series."),
        tr("Leave the precision to Nutshell, or say --precision f32."),
    ),
    "card-small": (
        tr("{name} has only {memory} of memory, too little for a whole model."),
        tr("The processor is used; nothing to do."),
    ),
    "card-unused": (
        tr("{name} could draw faster than the processor, and no engine installed here can use it."),
        tr("If you have {download} of room: install PyTorch for it, and draw with --engine torch:{device}."),
    ),
    "ascend-no-driver": (
        tr("{name}: its driver does not answer ({reason})."),
        tr("Install the Ascend driver and firmware, and see that npu-smi info lists the chip."),
    ),
    "ascend-no-cann": (
        tr("{name}: the CANN toolkit, which programs compute through, was not found."),
        tr("Install CANN and load its set_env.sh before starting."),
    ),
    # engines
    "no-engine": (
        tr("Neither OpenVINO nor ONNX Runtime works here, so nothing can be drawn at a bearable speed."),
        tr("Run ./start.sh again, which repairs the installation."),
    ),
    "engine-broken": (
        tr("{engine} is installed and does not work: {reason}."),
        tr("Another engine is used where there is one; to repair it, run ./start.sh again."),
    ),
    "openvino-missing": (
        tr("OpenVINO, the fastest engine on a processor, is not installed."),
        tr("Run ./start.sh again, or: pip install openvino"),
    ),
    # system and network
    "clock-wrong": (
        tr("The clock says {date}, which cannot be: secure connections and downloads will fail."),
        tr("Set date and time; a machine that forgets them has an empty battery on its board."),
    ),
    "clock-off": (
        tr("The clock is {hours} hours off by what the network says: secure connections may fail."),
        tr("Set date and time, or switch on setting them by the network."),
    ),
    "no-hub": (
        tr("No server of models answers ({reason})."),
        tr("Models that are here run without a network. Check cable, Wi-Fi and proxy, or bring models on a stick."),
    ),
    "socks-proxy": (
        tr("The environment names a SOCKS proxy, which models cannot be fetched through."),
        tr("Most such programs speak HTTP on the same port: set HTTPS_PROXY=http://... and unset ALL_PROXY."),
    ),
    "hub-silent": (
        tr("{hub} does not answer ({reason}); {others} does."),
        tr("Models are fetched from the other; HF_ENDPOINT names a mirror of Hugging Face."),
    ),
}
