"""What a run ran on, fact by fact, under the names that Comet's client has for an experiment."""

from __future__ import annotations

from runstream.api.values import Logged
from runstream.api.views.comet_types import SystemDetails


class CometSystem:
    """A part of `RunView`. Every method is one request; what is not known is None."""

    def get_system_details(self) -> SystemDetails:
        """Read all of them at once."""
        raise NotImplementedError

    def get_installed_packages(self) -> list[str] | None:
        """Read `name==version` of each package of Python, by name."""
        return self.get_system_details()["installedPackages"]

    def get_os_packages(self) -> Logged:
        """Read the packages of the operating system."""
        return self.get_system_details()["osPackages"]

    def get_environment_details(self) -> Logged:
        """Read the same as `get_os_packages`, as in Comet's client."""
        return self.get_os_packages()

    def get_user(self) -> str | None:
        """Read the name of the user."""
        return self.get_system_details()["user"]

    def get_python_version(self) -> str | None:
        """Read the version of Python."""
        return self.get_system_details()["pythonVersion"]

    def get_python_version_verbose(self) -> str | None:
        """Read the version of Python with its build."""
        return self.get_system_details()["pythonVersionVerbose"]

    def get_pid(self) -> Logged:
        """Read the number of the process."""
        return self.get_system_details()["pid"]

    def get_os(self) -> str | None:
        """Read the operating system with its version."""
        return self.get_system_details()["os"]

    def get_os_type(self) -> str | None:
        """Read the operating system, such as Linux."""
        return self.get_system_details()["osType"]

    def get_os_release(self) -> str | None:
        """Read the version of the operating system."""
        return self.get_system_details()["osRelease"]

    def get_ip(self) -> str | None:
        """Read the machine's address."""
        return self.get_system_details()["ip"]

    def get_hostname(self) -> str | None:
        """Read the machine's name."""
        return self.get_system_details()["hostname"]

    def get_gpu_static_info(self) -> Logged:
        """Read what its GPUs are."""
        return self.get_system_details()["gpuStaticInfoList"]

    def get_additional_system_info(self) -> list[dict[str, Logged]]:
        """Read the facts that users added, as `key` and `value`."""
        return self.get_system_details()["logAdditionalSystemInfoList"]

    def get_system_metric_names(self) -> list[str]:
        """Read the names of the metrics of the machine."""
        return self.get_system_details()["systemMetricNames"]

    def get_max_memory(self) -> Logged:
        """Read how much memory there was at most, in bytes."""
        return self.get_system_details()["maxTotalMemory"]

    def get_total_memory(self) -> Logged:
        """Read how much memory the machine has, in bytes."""
        return self.get_system_details()["totalRam"]

    def get_network_interface_ips(self) -> Logged:
        """Read the addresses of the machine's network interfaces."""
        return self.get_system_details()["networkInterfaceIps"]

    def get_command(self) -> Logged:
        """Read the program with its arguments."""
        return self.get_system_details()["command"]

    def get_executable(self) -> str | None:
        """Read the path of Python."""
        return self.get_system_details()["executable"]

    def get_machine(self) -> str | None:
        """Read the machine's architecture."""
        return self.get_system_details()["machine"]

    def get_processor(self) -> str | None:
        """Read the machine's processor."""
        return self.get_system_details()["processor"]
