# libdl. `make run` and `make test` install what is missing, build, and run; see README.md.

PREFIX ?= /usr/local
DESTDIR ?=
SWIFT ?= swift
# make V=1 shows every command.
Q := $(if $(V),,@)
MAKEFLAGS += --no-print-directory
CC_SWIFT := $(shell scripts/toolchain clang 2>/dev/null)
OBJCOPY := $(shell scripts/toolchain llvm-objcopy 2>/dev/null)

VERSION := $(shell awk '/DL_VERSION_MAJOR/{a=$$3} /DL_VERSION_MINOR/{b=$$3} /DL_VERSION_PATCH/{print a "." b "." $$3}' include/dl.h)
LIBRARY := libdl-1.so
# Undeclared imports are errors: the layers of the library are checked by every build.
SWIFT_FLAGS := -c release --explicit-target-dependency-import-check error
# Tests reach into modules, which the library's own build should not allow for.
TEST_FLAGS := $(SWIFT_FLAGS) --scratch-path .build-tests -Xswiftc -enable-testing

GLUE_OBJECTS := $(patsubst %.c,build/obj/%.o,$(wildcard bindings/lua/glue/*.c))
DLUA_OBJECTS := $(patsubst %.c,build/obj/%.o,$(wildcard Sources/dlua/*.c))
LUA_OBJECTS := $(patsubst %.c,build/obj/%.o,$(wildcard ThirdParty/CLua/src/*.c))

.PHONY: all setup build run test lint sanitize bench docs install uninstall clean abi FORCE

all: build

setup:
	scripts/setup run

# ---- Building --------------------------------------------------------------------------------------------------------

build: build/lib/$(LIBRARY) build/lib/dl/libdl.so build/lib/pkgconfig/libdl.pc build/bin/dlua build/lua/5.4/dl.so \
    build/lua/annotations/dl.lua

# SwiftPM knows what has changed.
.build/release/$(LIBRARY): FORCE
	@scripts/exports --map
	@[ ! scripts/exports.map -nt $@ ] || rm -f $@
	$(SWIFT) build $(SWIFT_FLAGS) --product dl-1

build/lib/$(LIBRARY): .build/release/$(LIBRARY)
	@mkdir -p $(@D)
	@echo 'LIB $@'
	$(Q)$(OBJCOPY) --strip-unneeded $< $@.new && mv $@.new $@

# The link name has a folder of its own, which only pkg-config names: elsewhere it would take the place of the C library's.
build/lib/dl/libdl.so: build/lib/$(LIBRARY)
	@mkdir -p $(@D)
	$(Q)ln -sf ../$(LIBRARY) $@

build/lib/pkgconfig/libdl.pc: packaging/libdl.pc.in include/dl.h Makefile
	@mkdir -p $(@D)
	$(Q)sed -e 's|@prefix@|$(CURDIR)/build|; s|@includedir@|$(CURDIR)/include|; s|@version@|$(VERSION)|' $< >$@

# The glue between Lua and dl.h is compiled twice: by SwiftPM into the library, and here, for hosts with a Lua of their
# own: the stock interpreter (dl.so takes lua_* from it) and dlua (which shows its lua_* to every module it loads).
# The compiler is the Swift toolchain's, for #embed.
C_FLAGS := -std=gnu17 -O2 -g -fPIC -fvisibility=hidden -Wall -Wextra -MMD -MP -Iinclude -IThirdParty/CLua/include
LINK_FLAGS := -fuse-ld=lld -Wl,-z,now -Wl,-z,relro -Wl,--gc-sections -Wl,--as-needed

build/obj/ThirdParty/%.o: C_FLAGS := -std=gnu99 -O2 -g -fPIC -DLUA_USE_LINUX -MMD -MP -IThirdParty/CLua/include
build/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo 'CC  $<'
	$(Q)$(CC_SWIFT) $(C_FLAGS) -c $< -o $@

build/bin/dlua: $(DLUA_OBJECTS) $(GLUE_OBJECTS) $(LUA_OBJECTS) build/lib/$(LIBRARY)
	@mkdir -p $(@D)
	@echo 'LD  $@'
	$(Q)$(CC_SWIFT) $(LINK_FLAGS) -Wl,--export-dynamic -o $@ $(filter %.o,$^) -Lbuild/lib -l:$(LIBRARY) -ledit -lm \
	    '-Wl,-rpath,$$ORIGIN/../lib'

# Found from build/lua/5.4 and from PREFIX/lib/lua/5.4.
build/lua/5.4/dl.so: $(GLUE_OBJECTS) build/lib/$(LIBRARY)
	@mkdir -p $(@D)
	@echo 'LD  $@'
	$(Q)$(CC_SWIFT) $(LINK_FLAGS) -shared -o $@ $(filter %.o,$^) -Lbuild/lib -l:$(LIBRARY) \
	    '-Wl,-rpath,$$ORIGIN/../../lib:$$ORIGIN/../..'

# What the Lua language server reads: everything declared, with its types.
build/lua/annotations/dl.lua: build/bin/dlua scripts/annotations.lua $(wildcard bindings/lua/dl/*.lua)
	@mkdir -p $(@D)
	@echo 'LUA $@'
	$(Q)build/bin/dlua scripts/annotations.lua $@ bindings/lua/dl

-include $(GLUE_OBJECTS:.o=.d) $(DLUA_OBJECTS:.o=.d) $(LUA_OBJECTS:.o=.d)

# ---- Running and testing ---------------------------------------------------------------------------------------------

run: setup
	$(MAKE) build
	build/bin/dlua examples/lua/lenet.lua

test:
	scripts/setup test
	$(MAKE) build
	scripts/test

lint:
	scripts/lint

# The Swift tests under AddressSanitizer; slow, so not part of test.
sanitize:
	scripts/test-sanitize

bench:
	scripts/setup bench
	$(MAKE) build
	benchmarks/run.sh

# Writes docs/reference out of the declarations, and the same as HTML into build/docs/html.
docs: build
	build/bin/dlua scripts/reference.lua docs/reference
	build/bin/dlua scripts/html.lua build/docs/html

# Brings the committed description of the binary interface up to date.
abi: build
	scripts/abi --write build/lib/$(LIBRARY)

# ---- Installing ------------------------------------------------------------------------------------------------------

install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/lib/dl \
	    $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/lib/lua/5.4
	install -m 644 include/dl.h bindings/lua/glue/dl_lua.h $(DESTDIR)$(PREFIX)/include
	install -m 755 build/lib/$(LIBRARY) $(DESTDIR)$(PREFIX)/lib/$(LIBRARY)
	ln -sf ../$(LIBRARY) $(DESTDIR)$(PREFIX)/lib/dl/libdl.so
	sed -e 's|@prefix@|$(PREFIX)|; s|@includedir@|$${prefix}/include|; s|@version@|$(VERSION)|' packaging/libdl.pc.in \
	    >$(DESTDIR)$(PREFIX)/lib/pkgconfig/libdl.pc
	install -m 755 build/bin/dlua $(DESTDIR)$(PREFIX)/bin/dlua
	install -m 755 build/lua/5.4/dl.so $(DESTDIR)$(PREFIX)/lib/lua/5.4/dl.so
	install -d $(DESTDIR)$(PREFIX)/share/libdl/annotations
	install -m 644 build/lua/annotations/dl.lua $(DESTDIR)$(PREFIX)/share/libdl/annotations/dl.lua

uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/, bin/dlua include/dl.h include/dl_lua.h lib/$(LIBRARY) lib/dl/libdl.so \
	    lib/pkgconfig/libdl.pc lib/lua/5.4/dl.so share/libdl/annotations/dl.lua)
	-rmdir $(DESTDIR)$(PREFIX)/share/libdl/annotations $(DESTDIR)$(PREFIX)/share/libdl 2>/dev/null
	-rmdir $(DESTDIR)$(PREFIX)/lib/dl 2>/dev/null

clean:
	rm -rf build .build .build-tests .build-asan
