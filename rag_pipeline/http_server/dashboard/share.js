// Built from clients/js/src/share.ts by scripts/vendor; edits are lost.
/**
 * Return `fresh`, with every part that equals its counterpart in `known` replaced by that one.
 *
 * Both are JSON. So who compares by identity sees only what has changed, although a status brings everything anew.
 */
export function share(known, fresh) {
    if (Object.is(known, fresh))
        return fresh;
    if (Array.isArray(fresh)) {
        if (!Array.isArray(known))
            return fresh;
        const items = fresh.map((item, place) => share(known[place], item));
        return (sameItems(known, items) ? known : items);
    }
    if (!isObject(known) || !isObject(fresh) || Array.isArray(known))
        return fresh;
    const keys = Object.keys(fresh);
    // Not built by assignment, which would take a member named __proto__ for the prototype.
    const members = Object.fromEntries(keys.map((key) => [key, share(own(known, key), fresh[key])]));
    const same = keys.every((key) => Object.hasOwn(known, key) && known[key] === members[key]);
    return (same && keys.length === Object.keys(known).length ? known : members);
}
function isObject(value) {
    return typeof value === "object" && value !== null;
}
function own(object, key) {
    return Object.hasOwn(object, key) ? object[key] : undefined;
}
function sameItems(known, items) {
    return known.length === items.length && items.every((item, place) => item === known[place]);
}
