# Reads include/dl.h and writes one prototype a line, without comments and without DL_API and DL_NODISCARD:
#   result | name | parameter | parameter ...
{
    line = $0
    while (match(line, /\/\*[^*]*\*+([^\/*][^*]*\*+)*\//)) line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
    if (inside) {
        if (!match(line, /\*\//)) next
        line = substr(line, RSTART + 2)
        inside = 0
    }
    if (match(line, /\/\*/)) { line = substr(line, 1, RSTART - 1); inside = 1 }
    if (line ~ /^DL_API/) { open = 1; text = "" }
    if (open) text = text " " line
    if (open && line ~ /;/) { open = 0; write(text) }
}

function trim(s) { gsub(/[ \t]+/, " ", s); sub(/^ /, "", s); sub(/ $/, "", s); return s }

function write(text,    name, result, depth, i, c, parameter, output) {
    gsub(/DL_API|DL_NODISCARD/, "", text)
    match(text, /dl_[a-z0-9_]+ *\(/)
    name = substr(text, RSTART, RLENGTH)
    sub(/ *\(/, "", name)
    result = trim(substr(text, 1, RSTART - 1))
    text = substr(text, RSTART + RLENGTH)
    output = result " | " name
    depth = 1
    parameter = ""
    for (i = 1; i <= length(text) && depth > 0; i++) {
        c = substr(text, i, 1)
        if (c == "(") depth++
        if (c == ")") depth--
        if (depth == 0 || (c == "," && depth == 1)) {
            parameter = trim(parameter)
            if (parameter != "void" && parameter != "") output = output " | " parameter
            parameter = ""
        } else parameter = parameter c
    }
    print output
}
