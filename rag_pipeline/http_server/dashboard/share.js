// Built from clients/js/src/share.ts by scripts/vendor; edits are lost.
/**
 * Return `fresh`, with every part that equals its counterpart in `known` replaced by that one.
 *
 * Both are JSON. So who compares by identity sees only what has changed, although a status brings everything anew. A
 * status of ten kilobytes comes a thousand times a second where many pipelines work: what has nothing of `known` in it
 * is returned as it is, and only what has is copied.
 */
export function share(known, fresh) {
    if (!isObject(fresh) || !isObject(known))
        return fresh;
    if (Array.isArray(fresh))
        return (Array.isArray(known) ? shareItems(known, fresh) : fresh);
    return (Array.isArray(known) ? fresh : shareMembers(known, fresh));
}
function shareItems(known, fresh) {
    let shared = null;
    let same = known.length === fresh.length;
    for (let place = 0; place < fresh.length; place += 1) {
        const item = share(known[place], fresh[place]);
        if (item !== fresh[place])
            (shared ??= [...fresh])[place] = item;
        same &&= item === known[place];
    }
    return same ? known : (shared ?? fresh);
}
function shareMembers(known, fresh) {
    let shared = null;
    const keys = Object.keys(fresh);
    let same = keys.length === Object.keys(known).length;
    for (const key of keys) {
        // Not what known inherits: a member may have the name __proto__.
        const before = Object.hasOwn(known, key) ? known[key] : undefined;
        const member = share(before, fresh[key]);
        // The copy has the key as its own already, so that this sets no prototype.
        if (member !== fresh[key])
            (shared ??= { ...fresh })[key] = member;
        same &&= member === before;
    }
    return same ? known : (shared ?? fresh);
}
function isObject(value) {
    return typeof value === "object" && value !== null;
}
