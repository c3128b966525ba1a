# Counts a test log: prints "PASSED FAILED SKIPPED".
#
# Each test program is announced (`Running …`, `Doc-tests …`) and ends with a `test result:` line. A program that
# was announced and has no result crashed: one failure. Tests left out by a filter count as skipped where
# `count_filtered` is set.

/^ +Running .*\(.*\)$/ || /^ +Doc-tests / {
    failed += open
    open = 1
}

/^test result: / {
    open = 0
    for (word = 2; word <= NF; word++) {
        if ($word ~ /^passed/) passed += $(word - 1)
        if ($word ~ /^failed/) failed += $(word - 1)
        if ($word ~ /^ignored/) skipped += $(word - 1)
        if ($word ~ /^filtered/ && count_filtered) skipped += $(word - 1)
    }
}

END { print passed + 0, failed + open + 0, skipped + 0 }
