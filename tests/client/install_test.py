"""What `cmake --install` gives is whole: it is installed, moved to another folder, and used from
there by a C program built twice (pkg-config, find_package), by the Python example and by the
programs. Arguments: cmake, build folder, the folder of the C program.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

import spoliad_process


def run(command, **environment):
    done = subprocess.run(command, env={**os.environ, **environment}, text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def build_with_pkg_config(prefix, source, folder):
    pc = next(os.path.join(path, "spolia.pc") for path, _, names in os.walk(prefix)
              if "spolia.pc" in names)
    flags = run(["pkg-config", "--cflags", "--libs", "spolia"],
                PKG_CONFIG_PATH=os.path.dirname(pc)).split()
    program = f"{folder}/by_pkg_config"
    run(["cc", "-std=c99", "-pedantic", "-Wall", "-Werror", f"{source}/consumer.c", "-o", program,
         *flags])
    return program


def build_with_cmake(cmake, prefix, source, folder):
    run([cmake, "-S", source, "-B", f"{folder}/build", f"-DCMAKE_PREFIX_PATH={prefix}"])
    run([cmake, "--build", f"{folder}/build"])
    return f"{folder}/build/consumer"


def check_exports(library):
    listed = run(["nm", "-D", "--defined-only", "--format=posix", library])
    symbols = {line.split()[0].split("@")[0] for line in listed.splitlines()}
    foreign = {s for s in symbols if not s.startswith("spolia_") and s != "SPOLIA_0"}
    assert not foreign, f"libspolia.so shows more than its interface: {sorted(foreign)[:5]}"
    header = open(os.path.join(os.path.dirname(library), "..", "include", "spolia.h"),
                  encoding="utf-8").read()
    declared = set(re.findall(r"SPOLIA_API[^;(]*?(spolia_\w+)\(", header))
    assert declared == symbols - {"SPOLIA_0"}, declared ^ (symbols - {"SPOLIA_0"})


def check_nothing_points_outside(prefix, build):
    for path, _, names in os.walk(prefix):
        for name in names:
            if name.endswith((".pc", ".cmake", ".py")):
                text = open(os.path.join(path, name), encoding="utf-8").read()
                assert build not in text and "/usr/local" not in text, f"{name} is not relocatable"


def main():
    cmake, build, source = sys.argv[1:4]
    with tempfile.TemporaryDirectory(prefix="spolia-install-") as folder:
        run([cmake, "--install", build, "--prefix", f"{folder}/first"])
        prefix = f"{folder}/moved"
        shutil.move(f"{folder}/first", prefix)
        check_nothing_points_outside(prefix, build)
        library = next(os.path.join(path, "libspolia.so") for path, _, names in os.walk(prefix)
                       if "libspolia.so" in names)
        check_exports(library)
        for name in ("models/micro/model.safetensors", "conf/server.toml", "conf/engine.toml"):
            assert os.path.exists(f"{prefix}/share/spolia/{name}"), name
        for name in ("spolia", "spoliad", "spolia-engine"):
            run([f"{prefix}/bin/{name}", "--help"])
        consumers = [build_with_pkg_config(prefix, source, folder),
                     build_with_cmake(cmake, prefix, source, folder)]
        with spoliad_process.Spoliad(f"{prefix}/bin/spoliad") as server:
            for consumer in consumers:
                said = run([consumer, server.address], LD_LIBRARY_PATH=os.path.dirname(library))
                assert said == "same\n", said
            print(run([sys.executable, "-B", f"{prefix}/share/spolia/examples/node.py",
                       server.address], PYTHONPATH=f"{prefix}/lib/python3/dist-packages"))
            listed = run([f"{prefix}/bin/spolia", "ls", "--server", server.address])
            assert len(listed.splitlines()) >= 6, listed
    print("ok")


if __name__ == "__main__":
    main()
