# BR_ARCHIVES(VARIABLE, NAME...): the flags in VARIABLE, with -lNAME for each,
# become those that link the archives of these libraries.
AC_DEFUN([BR_ARCHIVES], [
	br_archives=
	for br_name in $2; do
		br_archives="$br_archives -l:lib$br_name.a"
	done
	AC_CACHE_CHECK([for the archives of $1], [br_cv_archives_$1], [
		br_save="$LIBS"
		LIBS="$br_archives $LIBS"
		AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
		    [br_cv_archives_$1=yes], [br_cv_archives_$1=no])
		LIBS="$br_save"])
	AS_IF([test "$br_cv_archives_$1" = no],
	    [AC_MSG_ERROR([an archive is missing of:$br_archives])])
	br_flags=
	for br_flag in $$1; do
		AS_CASE([$br_flag], [-l*], [], [br_flags="$br_flags $br_flag"])
	done
	$1="$br_flags $br_archives"])
