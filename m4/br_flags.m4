# BR_TRY_CFLAG(FLAG): add it to BR_CFLAGS when the compiler takes it.
AC_DEFUN([BR_TRY_CFLAG], [
	AS_VAR_PUSHDEF([cache], [br_cv_cflag_$1])
	AC_CACHE_CHECK([whether $CC accepts $1], [cache], [
		br_save="$CFLAGS"
		CFLAGS="$CFLAGS -Werror $1"
		AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
		    [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
		CFLAGS="$br_save"])
	AS_VAR_IF([cache], [yes], [BR_CFLAGS="$BR_CFLAGS $1"])
	AS_VAR_POPDEF([cache])])

AC_DEFUN([BR_TRY_LDFLAG], [
	AS_VAR_PUSHDEF([cache], [br_cv_ldflag_$1])
	AC_CACHE_CHECK([whether the linker accepts $1], [cache], [
		br_save="$LDFLAGS"
		LDFLAGS="$LDFLAGS $1"
		AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
		    [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
		LDFLAGS="$br_save"])
	AS_VAR_IF([cache], [yes], [BR_LDFLAGS="$BR_LDFLAGS $1"])
	AS_VAR_POPDEF([cache])])

# Warnings of style.md, then hardening, each tried alone.
AC_DEFUN([BR_COMPILER_FLAGS], [
	BR_CFLAGS="-std=gnu11"
	BR_LDFLAGS=""
	m4_foreach_w([flag], [-Wall -Wextra -Wshadow -Wswitch-enum -Wformat=2
	    -Wvla -Wundef -Wstrict-prototypes -Wmissing-prototypes
	    -Wpointer-arith -Wwrite-strings -Wno-unused-parameter
	    -fno-common -fstack-protector-strong -fstack-clash-protection
	    -fcf-protection -ftrivial-auto-var-init=zero
	    -fPIE], [BR_TRY_CFLAG(flag)])
	m4_foreach_w([flag], [-pie -Wl,-z,relro -Wl,-z,now
	    -Wl,-z,noexecstack -Wl,--as-needed], [BR_TRY_LDFLAG(m4_defn([flag]))])
	AS_IF([test "$enable_werror" = yes], [BR_CFLAGS="$BR_CFLAGS -Werror"])
	# gcc takes the branch that UndefinedBehaviorSanitizer adds for a null
	# pointer for one that the program has; without it the warning is on.
	AS_IF([test "$enable_sanitizers" = yes],
	    [BR_CFLAGS="$BR_CFLAGS -fsanitize=address,undefined -fno-omit-frame-pointer -Wno-nonnull"
	     BR_LDFLAGS="$BR_LDFLAGS -fsanitize=address,undefined"],
	    [BR_CFLAGS="$BR_CFLAGS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3"])
	AS_IF([test "$enable_fuzzer" = yes],
	    [BR_CFLAGS="$BR_CFLAGS -fsanitize=fuzzer-no-link,address,undefined"
	     BR_LDFLAGS="$BR_LDFLAGS -fsanitize=address,undefined"])
	AS_IF([test "$enable_coverage" = yes],
	    [BR_CFLAGS="$BR_CFLAGS --coverage"
	     BR_LDFLAGS="$BR_LDFLAGS --coverage"])
	AC_SUBST([BR_CFLAGS])
	AC_SUBST([BR_LDFLAGS])])
