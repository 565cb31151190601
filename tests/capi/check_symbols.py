# SPDX-License-Identifier: Apache-2.0
# The shared library exports exactly the functions in symbols.txt, and imports nothing that reaches a network.
# Usage: check_symbols.py libponder.so symbols.txt [nm]
import subprocess
import sys

NETWORK = {
    "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "send", "sendto", "sendmsg", "sendmmsg", "recv",
    "recvfrom", "recvmsg", "recvmmsg", "getaddrinfo", "getnameinfo", "gethostbyname", "gethostbyname2", "gethostbyname_r",
    "gethostbyaddr", "getservbyname", "inet_pton", "inet_addr", "if_nametoindex",
}
NETWORK_PREFIXES = ("res_", "__res_", "ns_", "curl_", "SSL_", "BIO_")
PROCESS = {"fork", "vfork", "execve", "execv", "execvp", "execl", "execlp", "posix_spawn", "posix_spawnp", "system", "popen"}


def list_symbols(nm, library, selection):
    """Names that nm lists, without their @VERSION; the version node itself is an absolute symbol and is left out."""
    text = subprocess.run([nm, "-D", selection, library], check=True, capture_output=True, text=True).stdout
    fields = (line.split() for line in text.splitlines())
    return {entry[-1].split("@")[0] for entry in fields if len(entry) >= 2 and entry[-2] != "A"}


def main():
    library, list_path = sys.argv[1], sys.argv[2]
    nm = sys.argv[3] if len(sys.argv) > 3 else "nm"
    with open(list_path, encoding="utf-8") as lines:
        promised = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    exported = list_symbols(nm, library, "--defined-only")
    imported = list_symbols(nm, library, "--undefined-only")
    failures = [f"missing: {name} is in symbols.txt and not exported" for name in sorted(promised - exported)]
    failures += [f"extra: {name} is exported and not in symbols.txt" for name in sorted(exported - promised)]
    failures += [f"network: imports {name}" for name in sorted(imported) if name in NETWORK or name.startswith(NETWORK_PREFIXES)]
    failures += [f"process: imports {name}" for name in sorted(imported & PROCESS)]
    if not exported:
        failures.append("nothing is exported: is this a shared library?")
    print("\n".join(failures) if failures else f"{len(exported)} exported symbols, {len(imported)} imported ones: as promised")
    return 1 if failures else 0


sys.exit(main())
