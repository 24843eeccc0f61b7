/** Add a member to a list, or take it away. Pure. */
export function toggled(members: readonly string[], member: string): readonly string[] {
  return members.includes(member) ? members.filter((one) => one !== member) : [...members, member];
}
